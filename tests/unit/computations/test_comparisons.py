"""Tests and matrices over several holders against scipy and NumPy on the pooled rows."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.models import LAX, Outcome, close, run, split

from kapok.computations import Thresholds
from kapok.computations.comparison.formula import comparison_text
from kapok.computations.comparison.view import Test as Shown
from kapok.computations.matrices.formula import matrix_text
from kapok.computations.matrices.view import MatrixView
from kapok.computations.registry import computation
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

DATASET = Dataset(
    name="data",
    rows_max=10_000,
    empty_cells="show",
    columns=(
        Column(name="x", type="decimal", minimum="-10", maximum="10", resolution="0.001"),
        Column(name="y", type="decimal", minimum="0", maximum="300", resolution="0.01", nullable=True),
        Column(name="z", type="integer", minimum=0, maximum=50),
        Column(name="same", type="integer", minimum=0, maximum=9),
        Column(name="g", type="text", domain=("a", "b", "c", "d"), nullable=True),
        Column(name="sex", type="boolean"),
    ),
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(11)
    n = 500
    x = random.normal(1, 2, n).clip(-9, 9).round(3)
    g = random.choice(["a", "b", "c"], n)
    y = (100 + 6 * x + 8 * (g == "b") + random.normal(0, 20, n)).clip(0, 300).round(2)
    made = pd.DataFrame(
        {
            "x": x,
            "y": np.where(random.uniform(size=n) < 0.05, np.nan, y),
            "z": random.poisson(8, n) + (x > 1) * 3,
            "same": 4,
            "g": g,
            "sex": random.uniform(size=n) < 0.4,
        }
    )
    made.loc[random.uniform(size=n) < 0.04, "g"] = None
    # A group that one holder does not have; "d" nobody has.
    made.loc[((np.arange(n) * 3) % 5 == 0) & (made.g == "c"), "g"] = "a"
    return made


@pytest.fixture(scope="module")
def engines(frame):
    made = split(frame)
    yield made
    for engine in made:
        engine.connection.close()


def outcome_of(test, formula, engines, thresholds=LAX, **how):
    text = comparison_text(formula, DATASET, test=test, **how)
    return Shown(Outcome(run("comparison", text, DATASET, engines, thresholds)))


def matrix(form, columns, engines, thresholds=LAX, **how):
    text = matrix_text(columns, DATASET, form=form, **how)
    return MatrixView(Outcome(run("matrices", text, DATASET, engines, thresholds)))


def test_t_is_that_of_the_pooled_rows(frame, engines):
    mine = outcome_of("t", "y ~ sex", engines)
    known = frame.dropna(subset=["y"])
    groups = known.y[~known.sex], known.y[known.sex]
    welch, student = stats.ttest_ind(*groups, equal_var=False), stats.ttest_ind(*groups)
    close([mine.statistic, mine.p_value, mine.report.degrees], [welch.statistic, welch.pvalue, welch.df])
    close([mine.report.pooled_statistic, mine.report.pooled_p_value], [student.statistic, student.pvalue])
    assert mine.to_pandas()["rows"].sum() == len(known)


def test_analysis_of_variance_is_that_of_the_pooled_rows(frame, engines):
    mine = outcome_of("anova", "y ~ g", engines, where="x > 0")
    known = frame[frame.x > 0].dropna(subset=["y", "g"])
    pooled = stats.f_oneway(*(rows.y for _, rows in known.groupby("g")))
    close([mine.statistic, mine.p_value], [pooled.statistic, pooled.pvalue])
    assert (mine.report.degrees, mine.report.degrees_within) == (2, len(known) - 3)


def test_chi2_is_that_of_the_pooled_rows(frame, engines):
    mine = outcome_of("chi2", "g ~ I(z > 8)", engines)
    pooled = stats.chi2_contingency(pd.crosstab(frame.g, frame.z > 8), correction=False)
    close([mine.statistic, mine.p_value, mine.report.degrees], [pooled.statistic, pooled.pvalue, pooled.dof])
    close(mine.report.least_expected, pooled.expected_freq.min())
    assert "χ²" in str(mine)


def test_what_cannot_be_tested_is_said(engines):
    assert outcome_of("t", "y ~ g", engines).status == "too_many_groups"
    assert outcome_of("anova", "same ~ g", engines).status == "constant"
    assert outcome_of("t", "y ~ sex", engines, where="sex").status == "too_few_groups"
    hidden = outcome_of("anova", "y ~ g", engines, Thresholds(1, 60))
    assert hidden.status == "suppressed"
    assert hidden.statistic is None
    assert hidden.reasons
    assert "SUPPRESSED" in hidden._repr_html_()
    cells = outcome_of("chi2", "g ~ I(z > 8)", engines, Thresholds(1, 60)).reasons
    assert cells
    assert all(" × " in cell for cell in cells)


def test_correlations_and_covariances_are_those_of_the_pooled_rows(frame, engines):
    known = frame.dropna(subset=["y"])[["x", "y", "z"]]
    mine = matrix("covariance", ["x", "y", "z"], engines)
    close(mine.matrix.ravel(), known.cov().to_numpy().ravel())
    close(list(mine.report.means), known.mean())
    assert mine.report.rows == len(known)
    correlated = matrix("correlation", ["x", "y", "z"], engines)
    close(correlated.matrix.ravel(), known.corr().to_numpy().ravel())
    assert correlated.to_pandas().set_index("column").loc["x", "y"] == correlated.matrix[0, 1]


def test_components_are_those_of_the_pooled_rows(frame, engines):
    mine = matrix("scaled_components", ["x", "y", "z"], engines)
    known = frame.dropna(subset=["y"])[["x", "y", "z"]]
    scaled = ((known - known.mean()) / known.std()).to_numpy()
    _, singular, vectors = np.linalg.svd(scaled, full_matrices=False)
    close(list(mine.report.variances), singular**2 / (len(known) - 1))
    loadings = mine.to_pandas()[["x", "y", "z"]].to_numpy()
    close(np.abs(np.sum(loadings * vectors, axis=1)), np.ones(3))
    close(mine.to_pandas().proportion.sum(), 1.0)


def test_what_has_no_correlation_is_said(engines):
    mine = matrix("correlation", ["x", "same"], engines)
    assert (mine.status, mine.reasons) == ("constant", ("same",))
    hidden = matrix("correlation", ["x", "y", "z"], engines, Thresholds(200, 5))
    assert hidden.status == "suppressed"
    assert "x and y" in hidden.reasons


def test_policies_judge_the_select(engines):
    asked = computation("comparison").parse("TEST t OF y BY sex FROM data", DATASET)
    assert asked.operations == ("avg", "count", "variance")
    assert asked.columns == ("sex", "y")
    plain = computation("query").parse(
        "SELECT sex, COUNT(*), AVG(y), VAR_SAMP(y) FROM data WHERE y IS NOT NULL GROUP BY sex", DATASET
    )
    assert asked.substance == plain.substance
    assert computation("matrices").parse("MATRIX components OF x, y FROM data", DATASET).operations == (
        "covariance",
    )


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        ("comparison", "TEST z OF y BY sex FROM data", "bad_test"),
        ("comparison", "TEST t OF y BY x FROM data", "no_domain"),
        ("comparison", "TEST t OF g BY sex FROM data", "type_mismatch"),
        ("comparison", "TEST t OF y BY sex FROM data now", "bad_sql"),
        ("comparison", "TEST chi2 OF nothing BY sex FROM data", "unknown_column"),
        ("matrices", "MATRIX correlation OF x FROM data", "bad_matrix"),
        ("matrices", "MATRIX correlation OF x, x FROM data", "bad_matrix"),
        ("matrices", "MATRIX inverse OF x, y FROM data", "bad_matrix"),
        ("matrices", "MATRIX correlation OF x, g FROM data", "type_mismatch"),
    ],
)
def test_what_is_wrong_is_refused_by_name(kind, text, code):
    with pytest.raises(InvalidInput) as caught:
        computation(kind).parse(text, DATASET)
    assert caught.value.code == code
    assert caught.value.remedy


def test_without_scipy_a_test_is_not_even_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(InvalidInput) as caught:
        comparison_text("y ~ sex", DATASET, test="t")
    assert caught.value.code == "no_scipy"
