"""Models that are asked for one person's sake, and coefficients that are sent for it.

A holder's rule is tried with and without: where it is taken away, the attack tells what it is after.
"""

import numpy as np
import pandas as pd
import pytest
from support.models import FrameEngine, fit

from kapok.computations.engines import ModelLimits, Thresholds
from kapok.computations.glm.coefficients import Coefficients
from kapok.computations.glm.formula import model_text
from kapok.computations.glm.holder import contribute, contribute_at
from kapok.computations.glm.params import Model
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

PERSON, COST = 140, 73_210
DATASET = Dataset(
    name="stays",
    rows_max=1000,
    columns=(
        Column(name="person", type="integer", minimum=0, maximum=1000),
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="ward", type="text", domain=("a", "b", "c", "d")),
        Column(name="cost", type="integer", minimum=0, maximum=100_000),
        Column(name="ill", type="integer", domain=(0, 1)),
    ),
)
RULES = Thresholds(20, 5)
OPEN = Thresholds(1, 1, models=ModelLimits(100, 100))


@pytest.fixture(scope="module")
def frames() -> list[pd.DataFrame]:
    random = np.random.default_rng(3)
    made = []
    for holder in range(3):
        n = 80
        age = random.integers(20, 90, n)
        made.append(
            pd.DataFrame(
                {
                    "person": np.arange(n) + 100 * holder,
                    "age": age,
                    "ward": random.choice(list("abc"), n),
                    "cost": (1000 + 20 * age + random.integers(0, 500, n)),
                    "ill": (random.uniform(size=n) < 0.4).astype(int),
                }
            )
        )
    at = made[1].person == PERSON
    made[1].loc[at, ["cost", "age"]] = COST, 55
    return made


@pytest.fixture(scope="module")
def engines(frames):
    made = [FrameEngine(frame) for frame in frames]
    yield made
    for engine in made:
        engine.connection.close()


def without(**changes) -> Thresholds:
    """The holders' thresholds but for one rule."""
    limits = {name: changes.pop(name) for name in list(changes) if name.endswith("_percent")}
    return Thresholds(changes.get("min_rows", 20), changes.get("min_cell", 5), models=ModelLimits(**limits))


def test_a_column_that_marks_one_person(engines):
    asked = f"cost ~ I(person == {PERSON})"
    told = fit(asked, DATASET, engines, OPEN)
    assert sum(told.coefficients.values()) == pytest.approx(COST)
    refused = fit(asked, DATASET, engines, RULES)
    assert refused.status == "suppressed"
    assert f"nearly_constant: person = {PERSON}" in refused.reasons


def test_a_level_that_one_person_has(frames):
    changed = [frame.copy() for frame in frames]
    changed[1].loc[changed[1].person == PERSON, "ward"] = "d"
    engines = [FrameEngine(frame) for frame in changed]
    told = fit("cost ~ 0 + ward", DATASET, engines, OPEN)
    assert told.coefficients["ward[d]"] == pytest.approx(COST)
    assert "nearly_constant: ward[d]" in fit("cost ~ 0 + ward", DATASET, engines, RULES).reasons


def test_whether_there_is_one_who_fits_a_predicate(frames):
    """Of a column that the question makes up, no rows at all are as few as one: else flags would answer."""
    for ill in (0, 1):
        changed = [frame.copy() for frame in frames]
        changed[1].loc[changed[1].person == PERSON, "ill"] = ill
        engines = [FrameEngine(frame) for frame in changed]
        refused = fit(f"cost ~ age + I(person == {PERSON} and ill == 1)", DATASET, engines, RULES)
        name = f"nearly_constant: person = {PERSON} AND ill = 1"
        assert [one for one in refused.reasons if one.startswith("nearly")] == [name]


def test_weights_that_choose_one_person(engines):
    heavy = f"1 + 100000 * I(person == {PERSON})"
    told = fit("cost ~ 1", DATASET, engines, OPEN, weights=heavy)
    assert told.coefficients["(intercept)"] == pytest.approx(COST, rel=0.01)
    assert "leverage" in fit("cost ~ 1", DATASET, engines, without(min_cell=1), weights=heavy).reasons
    reasons = fit("cost ~ 1", DATASET, engines, RULES, weights=heavy).reasons
    assert any(one.startswith("nearly_constant: weights") for one in reasons)


def test_weights_that_fade_away_from_one_person(engines):
    """No two rows weigh the same, so that no column is nearly constant: only leverage sees it."""
    fading = f"1 / (abs(person - {PERSON}) + 0.0001)"
    told = fit("cost ~ 1", DATASET, engines, OPEN, weights=fading)
    assert told.coefficients["(intercept)"] == pytest.approx(COST, rel=0.05)
    assert "leverage" in fit("cost ~ 1", DATASET, engines, RULES, weights=fading).reasons


def test_a_column_in_which_one_person_outweighs_all(engines):
    asked = f"cost ~ I(1 / (abs(person - {PERSON}) + 0.0001))"
    told = fit(asked, DATASET, engines, OPEN)
    assert told.coefficients["(intercept)"] + 10_000 * list(told.coefficients.values())[1] == pytest.approx(
        COST, rel=0.01
    )
    assert "leverage" in fit(asked, DATASET, engines, RULES).reasons


def test_an_offset_that_marks_one_person(engines):
    marked = f"50000 * I(person == {PERSON})"
    assert fit("cost ~ age", DATASET, engines, OPEN, offset=marked).converged
    refused = fit("cost ~ age", DATASET, engines, RULES, offset=marked)
    assert any(one.startswith("nearly_constant: offset") for one in refused.reasons)


def test_a_response_that_is_one_persons_value(engines):
    asked = f"I(cost * I(person == {PERSON})) ~ 1"
    told = fit(asked, DATASET, engines, OPEN)
    assert told.coefficients["(intercept)"] * told.rows_used == pytest.approx(COST)
    assert "dominance" in fit(asked, DATASET, engines, without(min_cell=1)).reasons
    reasons = fit(asked, DATASET, engines, RULES).reasons
    assert any(one.startswith("nearly_constant: cost") for one in reasons)


def test_as_many_columns_as_there_are_rows(engines):
    """A level for each person fits each exactly."""
    few = [FrameEngine(engine.connection.sql("SELECT * FROM source LIMIT 30").df()) for engine in engines]
    persons = [100 * holder + n for holder in range(3) for n in range(10)]
    asked = "cost ~ 0 + " + " + ".join(f"I(person == {one})" for one in persons)
    told = fit(asked, DATASET, few, OPEN)
    [(first,)] = few[0].connection.sql("SELECT cost FROM source WHERE person = 0").fetchall()
    assert told.coefficients["person = 0"] == pytest.approx(first)
    limits = without(min_rows=1, min_cell=1, leverage_percent=100)
    assert "parameters" in fit(asked, DATASET, few, limits).reasons


def words(model, at, frame, thresholds):
    engine = FrameEngine(frame)
    found = contribute_at(model, DATASET, at, engine, thresholds).to_integers()
    return found, found[: len(model.layout.flags)]


def test_coefficients_that_leave_one_row_a_weight(frames):
    """With a steep slope through one person's value, μ(1-μ) is nothing for all others: XᵀWX is that row's."""
    frame = frames[1].copy()
    frame["cost"] = frame["cost"] * 1.0
    model = Model.parse(model_text("ill ~ cost", DATASET, family="binomial"), DATASET)
    standardised = (COST - 50_000) / 50_000
    steep = Coefficients(np.array([-1e4 * standardised, 1e4]), 0.0)
    found, flags = words(model, steep, frame, OPEN)
    assert not any(flags)
    start = len(flags) + 2
    total, moment = (model.scale.value(word) for word in found[start : start + 2])
    assert 50_000 + 50_000 * moment / total == pytest.approx(COST)
    _, flags = words(model, steep, frame, RULES)
    named = dict(zip(model.layout.flags, flags, strict=True))
    assert named["leverage"]


def test_coefficients_that_leave_one_row_a_residual(frames):
    """Where all others are predicted right, the score is one person's."""
    frame = frames[0].copy()
    frame["ill"] = (frame.age > 55).astype(int)
    frame.loc[5, ["age", "ill"]] = 80, 0
    model = Model.parse(model_text("ill ~ age", DATASET, family="binomial"), DATASET)
    at = Coefficients(np.array([(60 - 55.5) / 60 * 600, 600.0]), 0.0)
    found, flags = words(model, at, frame, OPEN)
    assert not any(flags)
    pairs = model.layout.pairs
    first = len(flags) + 2 + pairs
    score = [model.scale.value(word) for word in found[first : first + 2]]
    assert score[0] == pytest.approx(-1, abs=0.2)
    assert 60 + 60 * score[1] / score[0] == pytest.approx(80, abs=3)
    _, flags = words(model, at, frame, RULES)
    assert dict(zip(model.layout.flags, flags, strict=True))["dominance"]


def test_suppressed_words_tell_nothing_and_flags_only_the_rule(frames):
    model = Model.parse(model_text(f"cost ~ I(person == {PERSON})", DATASET), DATASET)
    engine = FrameEngine(frames[1])
    first, second = (contribute(model, DATASET, engine, RULES).to_integers() for _ in range(2))
    flags = len(model.layout.flags)
    raised = [place for place in range(flags) if first[place]]
    assert raised == [place for place in range(flags) if second[place]]
    assert all(one != other for one, other in zip(first[flags:], second[flags:], strict=True))
    assert all(0 <= word < 1 << model.random_bits for word in first)
    assert max(first).bit_length() > model.random_bits - 12


def test_two_models_that_differ_by_one_row_subtract(engines):
    """Said, not stopped where rules are lax: models subtract, as queries do."""
    lax = without(min_cell=1)
    everyone = fit("age ~ 1", DATASET, engines, lax)
    others = fit("age ~ 1", DATASET, engines, lax, weights=f"I(person != {PERSON})")
    totals = [one.coefficients["(intercept)"] * one.rows_used for one in (everyone, others)]
    assert totals[0] - totals[1] == pytest.approx(55)
    assert fit("age ~ 1", DATASET, engines, RULES, weights=f"I(person != {PERSON})").status == "suppressed"


def test_a_condition_inside_of_an_expression(frames):
    """It outweighs nothing, and no column is nearly constant; but two such models tell one person's value."""
    heavier = f"age + 30 * I(person == {PERSON})"
    lax = without(min_cell=1)
    for ill in (0, 1):
        changed = [frame.copy() for frame in frames]
        changed[1].loc[changed[1].person == PERSON, "ill"] = ill
        engines = [FrameEngine(frame) for frame in changed]
        ages = sum(int(frame.age.sum()) for frame in changed)
        plain, marked = (fit("ill ~ 1", DATASET, engines, lax, weights=one) for one in ("age", heavier))
        told = marked.coefficients["(intercept)"] * (ages + 30) - plain.coefficients["(intercept)"] * ages
        assert told == pytest.approx(30 * ill)
        reasons = fit("ill ~ 1", DATASET, engines, RULES, weights=heavier).reasons
        assert f"nearly_constant: condition person = {PERSON}" in reasons
        column = fit(f"ill ~ I(age + (3 if person == {PERSON} else 0))", DATASET, engines, RULES)
        assert column.reasons == (f"nearly_constant: condition person = {PERSON}",)
    # One that many meet is answered.
    assert fit("age ~ I(ill + 2 * I(cost > 2500))", DATASET, engines, RULES).converged


def test_a_condition_that_leaves_one_person_out_or_asks_whether_there_is_one(frames):
    """A model less the one without that person is its row; none left out is as few as one."""
    engines = [FrameEngine(frame) for frame in frames]
    others = f"person <> {PERSON}"
    whole = fit("cost ~ 1", DATASET, engines, OPEN)
    rest = fit("cost ~ 1", DATASET, engines, OPEN, where=others)
    sums = [found.coefficients["(intercept)"] * found.rows_used for found in (whole, rest)]
    assert sums[0] - sums[1] == pytest.approx(COST)
    for condition in (others, "person <> 999", f"person = {PERSON}", "age + cost >= 0"):
        refused = fit("cost ~ age", DATASET, engines, RULES, where=condition)
        assert refused.status == "suppressed", condition
        assert refused.coefficients == {}
    assert fit("cost ~ age", DATASET, engines, RULES, where="age >= 58").converged


def test_rows_of_one_value_are_not_left_out_by_nullif(engines):
    with pytest.raises(InvalidInput, match="NULLIF in a model would leave out") as caught:
        fit("ill ~ 1", DATASET, engines, RULES, weights=f"age + 0 * nullif(person, {PERSON})")
    assert caught.value.code == "bad_model"
