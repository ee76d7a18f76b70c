"""Rounds of a model whose coefficients were not found but chosen, and models whose columns were.

Whoever asks may send what coefficients it likes, as often as there are rounds; so each round is asked for one
person here. Where a holder's rule can be taken away, the attack tells what it is after.
"""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from support.models import LAX, FrameEngine, run

from kapok.computations import Thresholds
from kapok.computations.cox.coefficients import Coefficients as Risks
from kapok.computations.design.columns import _piece
from kapok.computations.engines import ModelLimits
from kapok.computations.glm import holder
from kapok.computations.glm.coefficients import Coefficients
from kapok.computations.glm.formula import model_text
from kapok.computations.glm.holder import contribute, contribute_at
from kapok.computations.glm.params import Model
from kapok.computations.meta.params import Meta
from kapok.computations.registry import computation
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

PERSON, OLDEST = 40, 88
DATASET = Dataset(
    name="stays",
    rows_max=1000,
    columns=(
        Column(name="person", type="integer", minimum=0, maximum=1000),
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="ward", type="text", domain=("a", "b", "c", "d")),
        Column(name="ill", type="integer", domain=(0, 1)),
        Column(name="time", type="integer", minimum=0, maximum=30),
    ),
)
RULES = Thresholds(20, 5)
ALONE = Thresholds(20, 1, models=ModelLimits(leverage_percent=100))
"""Least rows, and no rule about single ones."""
LAST = "LINK identity ROUNDS 5 FROM stays"


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    n = 80
    made = pd.DataFrame(
        {
            "person": np.arange(n),
            "age": random.integers(40, 72, n),
            "ward": random.choice(list("abc"), n),
            "ill": (random.uniform(size=n) < 0.4).astype(int),
            "time": random.integers(1, 30, n),
        }
    )
    made.loc[PERSON, ["age", "ward", "ill"]] = OLDEST, "d", 1
    return made


def told(model, at, frame, thresholds):
    """Which flags a holder raises, and what its words say: counts, XᵀWX, score, and single sums."""
    engine = FrameEngine(frame)
    found = (
        contribute(model, DATASET, engine, thresholds)
        if at is None
        else contribute_at(model, DATASET, at, engine, thresholds)
    ).to_integers()
    engine.connection.close()
    layout = model.layout
    flags = len(layout.flags)
    raised = [name for name, word in zip(layout.flags, found, strict=False) if word]
    used, dropped, *rest = found[flags:]
    sums = [model.scale.value(word) for word in rest]
    pairs, columns = layout.pairs, layout.columns
    return raised, (used, dropped), sums[:pairs], sums[pairs : pairs + columns], sums[pairs + columns :]


def logistic(formula: str, **how) -> Model:
    return Model.parse(model_text(formula, DATASET, family="binomial", **how), DATASET)


def step(where: float, slope: float, null: float = 0.0) -> Coefficients:
    """η = slope · (age - where), for the one column age, which runs from 0 to 120."""
    return Coefficients(np.array([slope * (60 - where), slope * 60]), null)


def test_rows_beyond_a_line_are_not_counted(frame):
    """Of a mean that may not be above 1 an almost flat line chooses the rows: η > 0 beyond an age."""
    model = logistic("ill ~ age", link="log")
    for thresholds in (RULES, LAX):
        raised, counts, *_ = told(model, step(80.5, 1e-10, -1.0), frame, thresholds)
        assert raised == ["outside"]
        assert counts != told(model, step(80.5, 1e-10, -1.0), frame, thresholds)[1]
    raised, counts, *_ = told(model, step(90.0, 1e-10, -1.0), frame, RULES)
    assert (raised, counts) == ([], (80, 0))


def test_rows_beyond_a_step_of_the_mean_are_not_counted(frame):
    """A steep slope makes μ 1 beyond an age, and Σ (y - μ) then lacks those rows."""
    model = logistic("ill ~ age")
    raised, _, _, score, _ = told(model, step(80.5, 1e3), frame, ALONE)
    assert not raised
    assert frame.ill.sum() - score[0] == pytest.approx(1)
    assert told(model, step(80.5, 1e3), frame, RULES)[0] == ["dominance"]
    assert not told(model, step(60.5, 1e3), frame, RULES)[0]


def test_the_model_of_a_constant_alone_chooses_one_person_by_an_offset(frame):
    """The fit undoes the offset and looks like any other; the constant's own sums are those of the step."""
    model = logistic("ill ~ age", offset="1000 * age")
    at = Coefficients(np.array([-60_000.0, -60_000.0]), -1000 * 80.5)
    raised, _, _, score, single = told(model, at, frame, ALONE)
    assert not raised
    everyone = score[0] + 40
    beyond = everyone - single[1]
    assert beyond == pytest.approx(1)
    [most] = {round(-2 * np.log(2.0**-52), 4)}
    assert (beyond - (single[3] / most - everyone)) / 2 == pytest.approx(frame.ill[PERSON], abs=1e-4)
    assert "dominance" in told(model, at, frame, RULES)[0]


def around(value: int, half: Fraction) -> tuple[list[Fraction], list[Fraction]]:
    """Five knots around a value, and the factors that make of their pieces what is 0 everywhere else."""
    knots = [value + place * half / 2 for place in (-2, -1, 0, 1, 2)]
    factors = []
    for one in knots:
        product = Fraction(1)
        for other in knots:
            product *= one - other if one != other else 1
        factors.append(1 / product)
    return knots, factors


@pytest.mark.parametrize("half", [Fraction(9, 10), Fraction(1, 10)])
def test_a_spline_with_its_knots_around_one_persons_value(frame, half):
    """All its columns have many rows; one combination of them has one, and is too small for XᵀWX to show."""
    knots, factors = around(PERSON, half)
    listed = [float(knot) for knot in (*knots, 60, 62)]
    written = ", ".join(f"{knot:.4f}" for knot in listed)
    text = f"GLM age ON 1, person SPLINE ({written}) FAMILY gaussian LINK identity ROUNDS 5 FROM stays"
    model = Model.parse(text, DATASET)
    raised, _, _, score, _ = told(model, None, frame, ALONE)
    assert not raised
    design = model.design
    total = factor = Fraction(0)
    for place, weight in enumerate(factors):
        centre, width = Fraction(design.centre[place + 2]), Fraction(design.half[place + 2])
        total += weight * (centre * Fraction(score[0]) + width * Fraction(score[place + 2]))
        factor += weight * Fraction(_piece(np.array([float(PERSON)]), place, tuple(listed))[0])
    assert float(total / factor) == pytest.approx(OLDEST, abs=0.01)
    assert "leverage" in told(model, None, frame, RULES)[0]


def test_weights_that_hide_a_direction_which_is_one_persons(frame, monkeypatch):
    """Where μ is as good as 1 a row has hardly a weight, and a residual all the same."""
    knots, factors = around(PERSON, Fraction(1, 4))
    listed = [float(knot) for knot in (*knots, 60, 62)]
    written = ", ".join(f"{knot:.5f}" for knot in listed)
    text = f"GLM ill ON 1, person SPLINE ({written}) FAMILY binomial LINK logit ROUNDS 5 FROM stays"
    model = Model.parse(text, DATASET)
    half, centre = model.design.half[2:7], model.design.centre[2:7]
    pieces = [_piece(np.array([float(PERSON)]), place, tuple(listed))[0] for place in range(5)]
    chosen = np.array([float(weight) for weight in factors])
    chosen *= 40 / (chosen @ np.array(pieces))
    steep = Coefficients(np.concatenate([[chosen @ centre, 0.0], chosen * half]), 0.0)
    for ill in (0, 1):
        frame.loc[PERSON, "ill"] = ill
        raised, _, _, score, _ = told(model, steep, frame, ALONE)
        assert not raised
        # All others are at μ = 1/2.
        others = frame.ill.sum() - ill - (len(frame) - 1) / 2
        assert score[0] - others == pytest.approx(ill - 1, abs=1e-3)
        assert told(model, steep, frame, RULES)[0] == ["leverage", "dominance"]
    monkeypatch.setattr(holder._Block, "counts", property(lambda block: block.information))
    assert told(model, steep, frame, RULES)[0] == ["dominance"]


@pytest.mark.parametrize("ill", [0, 1])
def test_a_response_that_the_model_thinks_impossible_is_not_read_off_pearsons_sum(frame, ill):
    """A power of age that is nothing for all but the oldest: of (y - μ)² / V(μ) that row would be all."""
    frame.loc[PERSON, "ill"] = ill
    model = logistic("ill ~ poly(age, 8, raw=True)")
    power = np.polynomial.Polynomial([-55 / 17, 1 / 17]) ** 8 * 0.9
    design = model.design
    columns = power.coef[1:] * design.half[1:]
    at = Coefficients(np.array([power.coef[0] + power.coef[1:] @ design.centre[1:], *columns]), 0.0)
    raised, _, _, _, single = told(model, at, frame, LAX)
    assert not raised
    assert single[4] == 0
    assert told(model, at, frame, RULES)[0]


def test_a_factor_that_leaves_one_person_out(frame):
    """Its levels are conditions, as WHERE is; the rows that have none of them would be counted, too."""
    levels = "ward LEVELS ('a', 'b', 'c') WITHOUT 'a'"
    model = Model.parse(f"GLM age ON 1, {levels} FAMILY gaussian {LAST}", DATASET)
    raised, counts, *_ = told(model, None, frame, ALONE)
    assert (raised, counts) == ([], (79, 1))
    assert told(model, None, frame, RULES)[0] == ["nearly_constant: levels of ward"]
    nobody = frame.assign(ward=frame.ward.replace("d", "a"))
    assert not told(model, None, nobody, RULES)[0]
    hazards = f"COX time EVENT ill ON {levels} GRID (30) ROUNDS 5 FROM stays"
    question = computation("cox").parse(hazards, DATASET)
    assert question.layout.flags[-1] == "nearly_constant: levels of ward"


def test_tables_of_two_factors_are_in_the_sums_of_a_model(frame):
    """Said, not stopped: XᵀWX has the rows that two levels have in common, of all holders together."""
    frame["ward"] = np.where(frame.age > 55, "b", "c")
    frame["ill"] = np.where(frame.ward == "b", frame.ill, 0)
    frame.loc[frame.index[frame.ward == "c"][0], "ill"] = 1
    levels = "ward LEVELS ('a', 'b', 'c', 'd') WITHOUT 'a'"
    model = Model.parse(f"GLM age ON 1, {levels}, ill FAMILY gaussian {LAST}", DATASET)
    raised, _, sums, _, _ = told(model, None, frame, RULES)
    assert not raised
    columns = model.layout.columns
    products = np.zeros((columns, columns))
    products[np.triu_indices(columns)] = sums
    names = [column.name for column in model.design.columns]
    one, other = names.index("ward[c]"), names.index("ill")
    # Columns run from -1 to 1: (1 + a)(1 + b) / 4 is 1 where both have the level.
    both = (products[0, 0] + products[0, one] + products[0, other] + products[one, other]) / 4
    assert both == pytest.approx(1)


def test_factors_that_multiply_fill_no_node():
    ages = ", ".join(map(str, range(120)))
    term = " BY ".join(f"age + {number} LEVELS ({ages})" for number in range(6))
    with pytest.raises(InvalidInput) as caught:
        Model.parse(f"GLM ill ON 1, {term} FAMILY binomial LINK logit ROUNDS 5 FROM stays", DATASET)
    assert caught.value.code == "too_many_columns"


def test_rows_that_weigh_too_much_are_not_counted_in_proportional_hazards(frame):
    model = computation("cox").parse("COX time EVENT ill ON age GRID (30) ROUNDS 5 FROM stays", DATASET)
    steps = computation("cox").go_on()
    engine = FrameEngine(frame)
    # exp(xβ) is below 2^-24 for the oldest alone: a weight of nothing, which no leverage shows.
    limit = 24 * np.log(2)
    for slope, raised in ((-limit / ((80 - 60) / 60), True), (-limit / ((90 - 60) / 60), False)):
        words = steps.contribute(model, DATASET, Risks(np.array([slope])), engine, LAX, lambda *_: None)
        flags = dict(zip(model.layout.flags, words.to_integers(), strict=False))
        assert bool(flags["outside"]) is raised
    engine.connection.close()


def test_two_of_three_fits_are_solved_for_by_whoever_knows_the_third(frame):
    """So a meta-analysis takes an organisation more than a policy's least: with four, three stay unknown."""
    text = "META GLM age ON 1, time FAMILY gaussian LINK identity ROUNDS 9 FROM stays"
    meta = Meta.parse(text, DATASET)
    parts = [frame[frame.person % 3 == rest] for rest in range(3)]
    found = []
    for part in parts:
        engine = FrameEngine(part)
        words = computation("meta").contribute(meta, DATASET, engine, LAX, lambda *_: None).to_integers()
        found.append(np.array([int(word) for word in words], dtype=object))
        engine.connection.close()
    rest = (sum(found) - found[2])[len(meta.flags) + 2 :]
    weight, weighted, squares, weights = (
        meta.scales[kind].value(int(rest[kind * len(meta.names) + 1])) for kind in range(4)
    )
    apart = np.sqrt(2 * weights - weight**2)
    first, second = (weight + apart) / 2, (weight - apart) / 2
    # b₂ = (Σ wb - w₁b₁) / w₂ in Σ wb²: a quadratic in b₁.
    quadratic = [first + first**2 / second, -2 * first * weighted / second, weighted**2 / second - squares]
    roots = np.roots(quadratic)
    half = meta.model.design.half[1]
    alone = [run("meta", text, DATASET, [FrameEngine(part)], LAX) for part in parts[:2]]
    true = [one.to_arrow()["estimate"][1].as_py() * half for one in alone]
    assert min(abs(root - value) for root in roots.real for value in true) < 1e-6
    assert computation("meta").more_parties == 1
