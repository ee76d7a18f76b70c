"""What may be asked of models, what is refused and how, and what a fit says instead of one."""

import json

import msgspec
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from support.models import LAX, FrameEngine, Outcome, close, fit, run, split

from kapok.client.analyses import written
from kapok.computations import Thresholds, computation
from kapok.computations.design.coefficients import encode
from kapok.computations.engines import ModelLimits
from kapok.computations.glm.coefficients import Coefficients, read
from kapok.computations.glm.fit import Fit
from kapok.computations.glm.formula import model_text
from kapok.computations.glm.params import Model
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput, PeerProtocolError
from kapok.nodes.policy import Rule
from kapok.protocols.secure_sum.params import MOST_WORD_BITS

DATASET = Dataset(
    name="data",
    rows_max=10_000,
    columns=(
        Column(name="x", type="decimal", minimum="-10", maximum="10", resolution="0.001"),
        Column(name="z", type="integer", minimum=0, maximum=50, nullable=True),
        Column(name="wide", type="integer", minimum=0, maximum=10**9),
        Column(name="one", type="integer", minimum=3, maximum=3),
        Column(name="g", type="text", domain=("a", "b", "c")),
        Column(name="h", type="integer", domain=(1, 2, 3)),
        Column(name="ill", type="boolean"),
        Column(name="day", type="date", minimum="2020-01-01", maximum="2021-01-01"),
        Column(name="y", type="integer", domain=(0, 1)),
    ),
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(5)
    n = 400
    x = random.normal(0, 3, n).clip(-9, 9).round(3)
    return pd.DataFrame(
        {
            "x": x,
            "z": pd.array(random.integers(0, 51, n), dtype="Int64"),
            "wide": random.integers(0, 1000, n),
            "one": 3,
            "g": random.choice(["a", "b"], n),
            "h": random.integers(1, 4, n),
            "ill": random.uniform(size=n) < 0.5,
            "day": pd.to_datetime("2020-02-01").date(),
            "y": (random.uniform(size=n) < 1 / (1 + np.exp(-x / 2))).astype(int),
        }
    )


@pytest.fixture(scope="module")
def engines(frame):
    made = split(frame)
    yield made
    for engine in made:
        engine.connection.close()


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("y ~ x + (", "bad_formula"),
        ("y ~ x | z", "bad_formula"),
        ("y ~ .", "bad_formula"),
        ("y ~ ", "bad_formula"),
        ("", "bad_formula"),
        ("y ~ x ~ z", "bad_formula"),
        ("~ x", "bad_formula"),
        ("y ~ 0", "bad_formula"),
        ("y ~ [c for c in x]", "bad_formula"),
        ("y ~ {lambda: x}", "bad_formula"),
        ("y ~ __import__('os').system('true')", "bad_formula"),
        ("y ~ I(().__class__.__bases__)", "bad_formula"),
        ("y ~ eval('x')", "unknown_function"),
        ("y ~ np.linalg.inv(x)", "unknown_function"),
        ("y ~ lgo(x)", "unknown_function"),
        ("y ~ poly(x, 2)", "bad_formula"),
        ("y ~ bs(x, df=4)", "bad_formula"),
        ("y ~ ns(x, df=4)", "bad_formula"),
        ("y ~ scale(x)", "bad_formula"),
        ("y ~ x:offset(z)", "bad_formula"),
        ("y ~ C(x)", "no_domain"),
        ("y ~ C(x + z)", "bad_formula"),
        ("y ~ C(h, levels=[1, 9])", "unknown_level"),
        ("y ~ C(g, levels=['a', 'q'])", "unknown_level"),
        ("y ~ C(g, levels=[1, 2])", "type_mismatch"),
        ("y ~ C(h, levels=[1])", "bad_model"),
        ("y ~ C(h, levels=[1, 2], reference=3)", "bad_model"),
        ("y ~ poly(x, 9, raw=True)", "bad_model"),
        ("y ~ ns(x, knots=[1, 2])", "bad_model"),
        ("y ~ ns(x, knots=[3, 2, 1])", "bad_model"),
        ("y ~ xx", "unknown_column"),
        ("y ~ day", "type_mismatch"),
        ("y ~ one", "constant_column"),
        ("one ~ x", "bad_model"),
        ("y ~ x + I(x)", "bad_model"),
        ("y ~ poly(wide, 8, raw=True) * poly(wide, 8, raw=True) + wide:wide", "bad_model"),
        ("y ~ C(g):C(h):C(z, levels=[" + ", ".join(map(str, range(40))) + "])", "too_many_columns"),
        ("y ~ x == ", "bad_formula"),
        ("y ~ I(" + "-" * 80 + "x)", "bad_formula"),
        ("y ~ " + " + ".join(["x"] * 3000), "bad_formula"),
    ],
)
def test_what_cannot_be_asked_is_named(formula, code):
    with pytest.raises(InvalidInput) as caught:
        Model.parse(model_text(formula, DATASET), DATASET)
    assert caught.value.code == code
    assert caught.value.remedy
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "how", "said"),
    [
        ("y ~ x | z", {}, "no random effects"),
        ("y ~ .", {}, "all other columns"),
        ("z ~ x", {"family": "gamma"}, "max(y, 0.1)"),
        ("x ~ z", {"family": "poisson"}, "least value of 0"),
        ("z ~ x", {"family": "binomial"}, "num > 0"),
        ("z ~ x", {"where": "x + 1"}, "WHERE needs a condition"),
        ("z ~ x", {"weights": "x"}, "max(w, 0)"),
    ],
)
def test_what_is_refused_says_why_and_what_to_write(formula, how, said):
    with pytest.raises(InvalidInput) as caught:
        Model.parse(model_text(formula, DATASET, **how), DATASET)
    assert said in f"{caught.value.message}: {caught.value.remedy}"


def test_a_formula_without_a_response_says_what_is_missing():
    with pytest.raises(InvalidInput, match="has no ~"):
        model_text("y > 0", DATASET)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"family": "binomal"}, "unknown_family"),
        ({"family": None}, "bad_model"),
        ({"family": "binomial", "link": "log_it"}, "unknown_link"),
        ({"family": "negative_binomial"}, "bad_model"),
        ({"family": "poisson", "dispersion": 2}, "bad_model"),
        ({"ridge": -1}, "bad_model"),
        ({"ridge": float("nan")}, "bad_model"),
        ({"rounds": 1}, "bad_model"),
        ({"rounds": 1000}, "bad_model"),
        ({"weights": "x"}, "bad_weights"),
        ({"offset": "g"}, "type_mismatch"),
        ({"complete": ["nowhere"]}, "unknown_column"),
        ({"weights": "1 +"}, "bad_formula"),
    ],
)
def test_what_cannot_go_with_a_formula_is_named(how, code):
    with pytest.raises(InvalidInput) as caught:
        Model.parse(model_text("y ~ x", DATASET, **how), DATASET)
    assert caught.value.code == code
    assert caught.value.remedy


@pytest.mark.parametrize(("response", "family"), [("z", "binomial"), ("x", "poisson"), ("z", "gamma")])
def test_a_response_that_a_family_cannot_have(response, family):
    with pytest.raises(InvalidInput) as caught:
        Model.parse(model_text(f"{response} ~ h", DATASET, family=family), DATASET)
    assert caught.value.code == "response_out_of_range"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1 FROM data",
        "GLM y",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 25",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 25 FROM data WHERE",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 25 FROM data WHERE x > 1 LIMIT 3",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 25 FROM data WHERE x",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 2.5 FROM data",
        "GLM y ON x POWERS x FAMILY binomial LINK logit ROUNDS 25 FROM data",
        "GLM y ON x LEVELS () FAMILY binomial LINK logit ROUNDS 25 FROM data",
        "GLM y ON x LEVELS (1, z) FAMILY binomial LINK logit ROUNDS 25 FROM data",
        "GLM y ON x BY x FAMILY binomial LINK logit ROUNDS 25 FROM data",
        "GLM y ON x, x FAMILY binomial LINK logit ROUNDS 25 FROM data",
        "GLM SUM(y) ON x FAMILY gaussian LINK identity ROUNDS 25 FROM data",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 25 FROM other",
        "GLM y ON 1, " + "(" * 500 + "x" + ")" * 500 + " FAMILY binomial LINK logit ROUNDS 25 FROM data",
        "GLM y ON 1, x FAMILY binomial LINK logit ROUNDS 25 FROM data COMPLETE ()",
    ],
)
def test_a_node_refuses_a_text_that_is_no_model(text):
    with pytest.raises(InvalidInput):
        Model.parse(text, DATASET)


def test_a_text_reads_back_as_the_same_model_and_says_what_it_asks():
    text = model_text(
        "y ~ C(g) * x + ns(z, knots=[5, 20, 40]) + poly(x, 2, raw=True):ill + offset(log(z + 1))",
        DATASET,
        family="binomial",
        weights="z",
        ridge=0.25,
        complete=["h"],
        rounds=12,
    )
    model = Model.parse(text, DATASET)
    assert model.text == text
    assert Model.parse(model.text, DATASET) == model
    assert (model.rounds, model.operations) == (12, ("glm",))
    assert model.columns == ("g", "h", "ill", "x", "y", "z")
    assert model.functions == ("ln",)
    words = model.describe()
    for part in ("binomial", "logit", "y", "g[b]:x", "offset", "weights", "12 rounds"):
        assert part in words


def test_what_it_asks_follows_from_question_and_schema_alone():
    kind = computation("glm")
    one, other = (kind.parse(model_text(f"y ~ {term}", DATASET, family="binomial"), DATASET) for term in "xz")
    assert (one.words, one.word_bits) == (other.words, other.word_bits)
    assert one.substance != other.substance
    assert one.word_bits <= MOST_WORD_BITS
    widest = msgspec.structs.replace(DATASET, rows_max=10**12)
    assert kind.parse(one.text, widest).word_bits <= MOST_WORD_BITS


def test_dependent_columns_are_named(engines):
    found = fit("y ~ x + I(2 * x + 1)", DATASET, engines, family="binomial")
    assert (found.status, found.reasons) == ("dependent_columns", ("2 * x + 1",))
    assert "2 * x + 1" in found.message
    assert fit("y ~ x + I(2 * x + 1)", DATASET, engines, family="binomial", ridge=1).converged


def test_a_level_that_nobody_has_is_left_out_and_named(frame, engines):
    for formula in ("y ~ x * C(g)", "y ~ 0 + x:C(g) + C(g)"):
        found = fit(formula, DATASET, engines, family="binomial")
        there = fit(formula.replace("C(g)", "C(g, levels=['a', 'b'])"), DATASET, engines, family="binomial")
        assert found.converged
        assert set(found.report.absent) == {"g[c]", "x:g[c]"}
        assert found.coefficients.keys() == there.coefficients.keys()
        close(found.coefficients, list(there.coefficients.values()), 1e-10)
        close(found.errors, list(there.errors.values()), 1e-10)
        assert found.report.degrees == there.report.degrees
        assert "LEFT OUT: g[c], x:g[c], which no row has." in str(found)
        told = found.predict({"x": [1, 1, 1], "g": ["a", "b", "c"]})
        close(told[:2], there.predict({"x": [1, 1], "g": ["a", "b"]}), 1e-10)
        assert np.isnan(told[2])
    # One that all others are compared with is asked for anew.
    found = fit("y ~ C(g, reference='c')", DATASET, engines, family="binomial")
    assert (found.status, found.reasons) == ("dependent_columns", ("g[b]",))
    assert "reference=" in found.message


def test_bounds_far_wider_than_the_values_cost_no_digits_of_coefficients(frame, engines):
    narrow = msgspec.structs.replace(
        DATASET,
        columns=tuple(
            Column(name="wide", type="integer", minimum=0, maximum=1000) if one.name == "wide" else one
            for one in DATASET.columns
        ),
    )
    assert fit("y ~ wide", DATASET, engines, family="binomial").status == "dependent_columns"
    thousand = msgspec.structs.replace(
        DATASET,
        columns=tuple(
            Column(name="wide", type="integer", minimum=0, maximum=10**6) if one.name == "wide" else one
            for one in DATASET.columns
        ),
    )
    mine, theirs = (fit("y ~ wide + x", one, engines, family="binomial") for one in (thousand, narrow))
    np.testing.assert_allclose(
        list(mine.coefficients.values()), list(theirs.coefficients.values()), rtol=1e-8
    )
    np.testing.assert_allclose(list(mine.errors.values()), list(theirs.errors.values()), rtol=1e-8)


def test_separation_is_named_at_one_holder_and_gone_over_all(frame):
    apart = frame.copy()
    apart["y"] = (apart.x > 0.5).astype(int)
    mixed = frame.copy()
    alone = fit("y ~ x + z", DATASET, [FrameEngine(apart)], family="binomial")
    assert alone.status == "separated"
    assert "x" in alone.reasons
    assert "SEPARATED" in str(alone)
    together = fit("y ~ x + z", DATASET, [FrameEngine(apart), FrameEngine(mixed)], family="binomial")
    assert together.converged
    assert fit("y ~ x + z", DATASET, [FrameEngine(apart)], family="binomial", ridge=0.1).converged


def test_too_few_rounds_and_rows_are_named(frame, engines):
    found = fit("y ~ x", DATASET, engines, family="binomial", rounds=3)
    assert (found.status, found.rounds) == ("not_converged", 3)
    assert "NOT CONVERGED" in str(found)
    few = [FrameEngine(frame.iloc[:4])]
    found = fit("x ~ z + wide + C(h)", DATASET, few, Thresholds(1, 1, models=ModelLimits(100, 100)))
    assert found.status in ("too_few_rows", "suppressed")
    two = [FrameEngine(frame.iloc[:2]), FrameEngine(frame.iloc[2:4]), FrameEngine(frame.iloc[4:5])]
    assert fit("x ~ 1 + z", DATASET, two).status in ("suppressed", "converged")


def test_too_few_degrees_of_freedom(frame):
    pairs = [FrameEngine(frame.iloc[[2 * place, 2 * place + 1]]) for place in range(1)]
    found = fit("x ~ z", DATASET, pairs)
    assert (found.status, found.coefficients) == ("too_few_rows", {})
    with pytest.raises(InvalidInput) as caught:
        found.predict({"z": [1]})
    assert caught.value.code == "no_fit"
    assert found.errors == {}
    assert "NOT FITTED" in found._repr_html_()


def test_rows_that_lack_something_are_dropped_and_counted(frame):
    lacking = frame.copy()
    lacking.loc[:49, "z"] = None
    found = fit("y ~ x + z", DATASET, split(lacking), family="binomial")
    assert (found.rows_used, found.rows_dropped) == (350, 50)
    everything = lacking.copy()
    everything["z"] = pd.array([None] * len(lacking), dtype="Int64")
    told: list[tuple[str, str]] = []
    found = fit("y ~ z", DATASET, split(everything), family="binomial", note=lambda *said: told.append(said))
    assert (found.status, found.reasons) == ("suppressed", ("few_rows",))
    assert told == [("the model", "few_rows")] * 3
    assert "too few complete rows" in found.message


def test_rows_that_a_condition_leaves_out_do_not_count(frame):
    lacking = frame.copy()
    lacking.loc[:49, "z"] = None
    engines = split(lacking)
    found = fit("y ~ x + z", DATASET, engines, family="binomial", where="z > 10 AND g = 'a'")
    rows = lacking[(lacking.z > 10) & (lacking.g == "a")].astype({"z": float})
    pooled = smf.glm("y ~ x + z", rows, family=sm.families.Binomial()).fit(tol=1e-14)
    assert (found.rows_used, found.rows_dropped) == (len(rows), 0)
    close(found.coefficients, pooled.params)
    close(found.errors, pooled.bse)
    # What it leaves out does not lack anything to be counted for.
    dropped = int((lacking.z.isna() & (lacking.g == "a")).sum())
    assert fit("y ~ z", DATASET, engines, family="binomial", where="g = 'a'").rows_dropped == dropped
    told = Model.parse(model_text("y ~ x", DATASET, where="ill AND z IN (1, 2)"), DATASET)
    assert "all rows of data with ill AND z IN (1, 2)" in told.describe()
    assert told.columns == ("ill", "x", "y", "z")
    with pytest.raises(InvalidInput) as caught:
        model_text("y ~ x", DATASET, where="h == 1")
    assert caught.value.remedy == "write h = 1"


def test_a_level_that_one_holder_lacks_is_normal(frame):
    first, second = frame.copy(), frame.copy()
    second["g"] = "c"
    found = fit("y ~ x + C(g)", DATASET, [FrameEngine(first), FrameEngine(second)], Thresholds(20, 5))
    assert found.converged
    assert set(found.coefficients) == {"(intercept)", "x", "g[b]", "g[c]"}


def test_an_engine_that_breaks_suppresses_all(engines):
    class Broken:
        dialect = "duckdb"

        def fetch(self, select_sql):
            raise MemoryError("row 7 holds 43")

        def batches(self, select_sql):
            yield from engines[0].batches(select_sql)
            raise MemoryError("row 7 holds 43")

    told: list[tuple[str, str]] = []
    found = fit("y ~ x", DATASET, [*engines, Broken()], note=lambda *said: told.append(said))
    assert (found.status, found.reasons) == ("suppressed", ("table",))
    assert told == [("the model", "the engine could not answer (MemoryError)")]


def test_values_beyond_the_schema_leave_as_noise_and_not_as_an_error(frame):
    wrong = frame.astype({"x": float})
    wrong.loc[0, "x"] = float("inf")
    found = fit("x ~ h", DATASET, [*split(frame), FrameEngine(wrong)])
    assert found.status == "suppressed"


@pytest.mark.parametrize(
    "change",
    [
        lambda words: words[:-1],
        lambda words: [-1, *words[1:]],
        lambda words: [*words[:-1], 1 << 250],
        lambda words: [*words[:7], -5, *words[8:]],
    ],
)
def test_a_sum_that_cannot_be_is_refused(engines, change):
    kind = computation("glm")
    model = kind.parse(model_text("y ~ x", DATASET, family="binomial"), DATASET)
    words = kind.contribute(model, DATASET, engines[0], LAX, lambda *_: None).to_integers()
    with pytest.raises(PeerProtocolError) as caught:
        kind.go_on().advance(model, DATASET, None, change(words))
    assert caught.value.code == "impossible_sum"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 23,
        b"\0" * 32,
        np.array([0, np.nan, 0]).tobytes(),
        np.array([0, np.inf, 0]).tobytes(),
        np.array([0, 1e10, 0]).tobytes(),
    ],
)
def test_coefficients_that_cannot_be_used_are_refused(content):
    model = Model.parse(model_text("y ~ x", DATASET), DATASET)
    with pytest.raises(InvalidInput) as caught:
        read(model, DATASET, content)
    assert caught.value.code == "bad_coefficients"
    found = read(model, DATASET, encode(np.array([0.25, 1.5, -2.0])))
    assert (found.null, found.columns.tolist()) == (0.25, [1.5, -2.0])


def test_the_same_sum_gives_the_same_next_round(engines):
    kind = computation("glm")
    model = kind.parse(model_text("y ~ x", DATASET, family="binomial"), DATASET)
    words = kind.contribute(model, DATASET, engines[0], LAX, lambda *_: None).to_integers()
    assert kind.go_on().advance(model, DATASET, None, words) == kind.go_on().advance(
        model, DATASET, None, words
    )


def test_steps_beyond_what_has_a_mean_are_halved():
    """Counts near zero at one end: with the identity link the first step's line falls below zero there."""
    random = np.random.default_rng(6)
    x = random.uniform(0, 10, 150).round(2)
    counts = pd.DataFrame({"x": x, "z": random.poisson(0.02 + 0.4 * x)})
    rounds: list[Coefficients] = []
    text = model_text("z ~ x", DATASET, family="poisson", link="identity")
    found = Fit(Outcome(run("glm", text, DATASET, split(counts), rounds=rounds)))
    assert found.converged
    model = Model.parse(text, DATASET)
    least = [
        float(one.columns @ [1, (x.min() - model.design.centre[1]) / model.design.half[1]]) for one in rounds
    ]
    assert least[0] < 0 < least[-1]
    mean = found.predict(counts)
    design = np.column_stack([np.ones(150), x])
    assert np.abs(design.T @ ((counts.z - mean) / mean)).max() < 1e-6


def test_confidence_levels_and_documents(engines):
    found = fit("y ~ x", DATASET, engines, family="binomial")
    narrow, wide = found.confidence(0.5)["x"], found.confidence(0.999)["x"]
    assert wide[0] < narrow[0] < found.coefficients["x"] < narrow[1] < wide[1]
    with pytest.raises(InvalidInput) as caught:
        found.confidence(1)
    assert caught.value.code == "bad_level"
    document = json.loads(msgspec.json.encode(found.to_document()))["fit"]
    assert document["status"] == "converged"
    assert "schema" not in document
    with pytest.raises(InvalidInput) as caught:
        found.predict({"x": [1]}, "odds")
    assert caught.value.code == "bad_kind"


def test_without_formulaic_it_says_what_to_install(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "formulaic":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput) as caught:
        written("glm", "y ~ x", DATASET, {})
    assert caught.value.code == "no_formulaic"
    assert "kapok[models]" in caught.value.remedy


def test_what_the_policy_says_is_what_the_holder_asks():
    given = {
        "analysts": ("spiffe://a.example/org/b/analyst/*",),
        "dataset": "data",
        "operations": ("glm",),
        "columns": ("*",),
        "questions": 1,
        "min_rows": 1,
        "min_cell": 1,
    }
    assert Rule(**given).thresholds.models == ModelLimits(33, 75)
    rule = Rule(**given, leverage_percent=40, parameters_percent=10)
    assert rule.thresholds.models == ModelLimits(10, 40)
