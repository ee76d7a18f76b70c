"""Fits over several holders against statsmodels on the pooled rows."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy.stats import norm, t
from statsmodels.genmod.families import links
from support.models import LAX, FrameEngine, close, fit, split

from kapok.computations import Thresholds
from kapok.computations.glm.formula import model_text
from kapok.computations.glm.params import Model
from kapok.documents.dataset import Column, Dataset

pytestmark = pytest.mark.filterwarnings("ignore:The .* link function does not respect the domain")

F = sm.families
DATASET = Dataset(
    name="data",
    rows_max=10_000,
    columns=(
        Column(name="x", type="decimal", minimum="-10", maximum="10", resolution="0.001"),
        Column(name="z", type="decimal", minimum="0", maximum="100", resolution="0.01", nullable=True),
        Column(name="g", type="text", domain=("a", "b", "c", "d")),
        Column(name="h", type="integer", domain=(1, 2, 3)),
        Column(name="flag", type="boolean"),
        Column(name="w", type="decimal", minimum="0", maximum="5", resolution="0.01"),
        Column(name="e", type="decimal", minimum="0.5", maximum="20", resolution="0.01"),
        Column(name="yg", type="decimal", minimum="-200", maximum="200", resolution="0.0001"),
        Column(name="yb", type="integer", domain=(0, 1)),
        Column(name="yp", type="integer", minimum=0, maximum=500),
        Column(name="yc", type="decimal", minimum="0.001", maximum="1000", resolution="0.001"),
    ),
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(7)
    n = 900
    x = random.normal(0, 2, n).clip(-9.9, 9.9).round(3)
    z = random.uniform(3, 60, n).round(2)
    g = random.choice(list("abcd"), n, p=[0.4, 0.3, 0.2, 0.1])
    h = random.integers(1, 4, n)
    e = random.uniform(0.5, 10, n).round(2)
    eta = 0.3 + 0.25 * x - 0.01 * z + (g == "b") * 0.4 + (h == 3) * 0.3
    made = pd.DataFrame(
        {
            "x": x,
            "z": np.where(random.uniform(size=n) < 0.05, np.nan, z),
            "g": g,
            "h": h,
            "flag": random.uniform(size=n) < 0.3,
            "w": random.uniform(0.5, 4, n).round(2),
            "e": e,
            "yg": (3 * eta + random.normal(0, 1, n)).round(4),
            "yb": (random.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int),
            "yp": random.poisson(np.exp(eta + 0.5)),
            "yc": (random.gamma(2.0, np.exp(eta) / 2) + 0.01).round(3),
        }
    )
    # A level that one holder never sees.
    made.loc[(np.arange(n) * 3) % 5 == 0, "g"] = "a"
    return made


@pytest.fixture(scope="module")
def engines(frame):
    made = split(frame)
    yield made
    for engine in made:
        engine.connection.close()


CASES = [
    ("yg ~ x + z + C(g) + flag", "yg ~ x + z + C(g) + flag", {}, F.Gaussian()),
    ("yg ~ x * C(h)", "yg ~ x * C(h)", {}, F.Gaussian()),
    ("yg ~ 0 + C(g) + x", "yg ~ 0 + C(g) + x", {}, F.Gaussian()),
    ("yg ~ poly(x, 3, raw=True) + x:z", "yg ~ x + I(x**2) + I(x**3) + x:z", {}, F.Gaussian()),
    ("yg ~ C(g) * C(h)", "yg ~ C(g) * C(h)", {}, F.Gaussian()),
    ("yg ~ x + C(h):x", "yg ~ x + C(h):x", {}, F.Gaussian()),
    ("yb ~ x + z + C(g)", "yb ~ x + z + C(g)", {"family": "binomial"}, F.Binomial()),
    ("yb ~ x + C(h)", "yb ~ x + C(h)", {"family": "binomial", "link": "probit"}, F.Binomial(links.Probit())),
    ("yb ~ x + z", "yb ~ x + z", {"family": "binomial", "link": "cloglog"}, F.Binomial(links.CLogLog())),
    ("I(yp > 2) ~ x", "I((yp > 2).astype(int)) ~ x", {"family": "binomial"}, F.Binomial()),
    ("yp ~ x + C(g) + C(h)", "yp ~ x + C(g) + C(h)", {"family": "poisson"}, F.Poisson()),
    ("yp ~ z", "yp ~ z", {"family": "poisson", "link": "sqrt"}, F.Poisson(links.Sqrt())),
    (
        "yp ~ x + h",
        "yp ~ x + h",
        {"family": "negative_binomial", "dispersion": 0.7},
        F.NegativeBinomial(alpha=0.7),
    ),
    ("yc ~ x + C(g)", "yc ~ x + C(g)", {"family": "gamma", "link": "log"}, F.Gamma(links.Log())),
    ("yc ~ h", "yc ~ h", {"family": "gamma"}, F.Gamma(links.InversePower())),
    ("yc ~ z", "yc ~ z", {"family": "gamma", "link": "identity"}, F.Gamma(links.Identity())),
    ("yc ~ x", "yc ~ x", {"family": "gaussian", "link": "log"}, F.Gaussian(links.Log())),
]


def oracle(formula, frame, family, **given):
    return smf.glm(formula, frame, family=family, **given).fit(tol=1e-14, maxiter=200)


@pytest.mark.parametrize(
    ("formula", "theirs", "how", "family"), CASES, ids=[case[0] + str(case[2]) for case in CASES]
)
def test_equals_the_pooled_fit(frame, engines, formula, theirs, how, family):
    mine = fit(formula, DATASET, engines, **how)
    pooled = oracle(theirs, frame, family)
    assert mine.converged, mine
    assert len(mine.coefficients) == len(pooled.params)
    order = _order(mine, pooled)
    close(mine.coefficients, pooled.params.to_numpy()[order])
    close(mine.errors, pooled.bse.to_numpy()[order])
    close(mine.deviance, pooled.deviance)
    close(mine.null_deviance, pooled.null_deviance)
    if mine.report.by_t:
        close(mine.report.pearson, pooled.pearson_chi2)
    close(mine.report.log_likelihood, pooled.llf)
    close(mine.aic, pooled.aic)
    assert mine.rows_used == pooled.nobs
    assert mine.rows_used + mine.rows_dropped == len(frame)
    far = t(mine.report.degrees).ppf(0.975) if mine.report.by_t else norm.ppf(0.975)
    ends = pooled.params - far * pooled.bse
    np.testing.assert_allclose(
        [low for low, _ in mine.confidence().values()], ends.to_numpy()[order], atol=1e-8
    )


def _order(mine, pooled):
    """Place in the pooled fit of each of our coefficients."""
    names = [
        name.replace("Intercept", "(intercept)").replace("C(", "").replace(")[T.", "[").replace(")[", "[")
        for name in pooled.params.index
    ]
    simple = {
        name.replace("flag[T.True]", "flag").replace("I(x ** 2)", "x^2").replace("I(x ** 3)", "x^3"): place
        for place, name in enumerate(names)
    }
    found = []
    for name in mine.coefficients:
        turned = ":".join(reversed(name.split(":")))
        found.append(simple.get(name, simple.get(turned)))
    assert None not in found, (list(mine.coefficients), simple)
    return found


def test_offset_and_weights_are_those_of_the_pooled_fit(frame, engines):
    known = frame.dropna()
    mine = fit("yp ~ x + offset(log(e))", DATASET, engines, family="poisson", weights="w", complete=["z"])
    text = model_text("yp ~ x + offset(log(e))", DATASET, family="poisson", weights="w", complete=["z"])
    # What officers read: without it two models that add up different rows would read alike.
    assert "all rows of data that lack nothing, nor z, in" in Model.parse(text, DATASET).describe()
    pooled = oracle("yp ~ x", known, F.Poisson(), offset=np.log(known.e).round(12), var_weights=known.w)
    close(mine.coefficients, pooled.params)
    close(mine.errors, pooled.bse)
    close(mine.deviance, pooled.deviance)
    assert mine.rows_used == len(known)


def test_weights_of_a_gaussian_are_those_of_the_pooled_fit(frame, engines):
    mine = fit("yg ~ x + C(g)", DATASET, engines, weights="w")
    pooled = oracle("yg ~ x + C(g)", frame, F.Gaussian(), var_weights=frame.w)
    order = _order(mine, pooled)
    close(mine.coefficients, pooled.params.to_numpy()[order])
    close(mine.errors, pooled.bse.to_numpy()[order])
    close(mine.report.log_likelihood, pooled.llf)


def test_a_natural_spline_spans_what_patsys_does(frame, engines):
    # patsy's stops at its bounds; rows within them are told apart by neither.
    within = frame[frame.x.between(-4, 4)]
    mine = fit("yg ~ ns(x, knots=[-4, -1, 1, 4])", DATASET, split(within))
    pooled = oracle("yg ~ cr(x, knots=[-1, 1], lower_bound=-4, upper_bound=4) - 1", within, F.Gaussian())
    assert mine.converged
    close(mine.deviance, pooled.deviance)


def test_ridge_lowers_what_it_says(frame, engines):
    mine = fit("yb ~ x + z", DATASET, engines, family="binomial", ridge=10)
    known = frame.dropna()
    design = sm.add_constant(known[["x", "z"]].to_numpy())
    at = np.array(list(mine.coefficients.values()))
    mean = 1 / (1 + np.exp(-design @ at))
    gradient = design.T @ (known.yb.to_numpy() - mean) - 10 * np.array([0, 1, 1]) * at
    assert np.abs(gradient).max() < 1e-7
    free = list(fit("yb ~ x + z", DATASET, engines, family="binomial").coefficients.values())
    assert math.hypot(*at[1:]) < math.hypot(*free[1:])


def test_one_holder_alone_and_many_have_the_same_digits(frame, engines):
    one = fit("yb ~ x + C(g)", DATASET, split(frame, 1), family="binomial")
    five = fit("yb ~ x + C(g)", DATASET, split(frame, 5), family="binomial")
    close(one.coefficients, list(five.coefficients.values()), 1e-11)
    close(one.errors, list(five.errors.values()), 1e-11)


def test_the_answer_is_one_table_that_says_everything(frame, engines):
    mine = fit("yb ~ x", DATASET, engines, family="binomial")
    table = mine.to_arrow()
    assert table.column_names == ["term", "estimate", "std_error", "z", "p_value", "ci_low", "ci_high"]
    assert table["term"].to_pylist() == ["(intercept)", "x"]
    kept = json.loads(table.schema.metadata[b"kapok.report"])
    assert kept["status"] == "converged"
    assert kept["text"].startswith("GLM yb ON 1, x FAMILY binomial LINK logit")
    assert mine.to_pandas().loc["x", "estimate"] == mine.coefficients["x"]
    text = str(mine)
    assert "binomial" in text
    assert f"{mine.coefficients['x']:.6g}" in text
    assert "<script" not in mine._repr_html_()


def test_thresholds_of_demonstrations_let_a_plain_model_through(frame, engines):
    assert fit("yb ~ x + z + C(h)", DATASET, engines, Thresholds(20, 5), family="binomial").converged
    assert LAX.min_cell == 1


def test_a_column_that_is_missing_in_every_row_leaves_too_few_rows(frame):
    """At all holders, or at one: rows with a gap are left out, and none are left there."""
    without = frame.assign(z=np.nan)
    for frames in ([without, without, without], [frame, without]):
        found = fit("yb ~ x + z", DATASET, [FrameEngine(one) for one in frames], Thresholds(20, 5))
        assert (found.status, found.reasons) == ("suppressed", ("few_rows",))
