"""Survival, tests, matrices and meta-analyses over real processes: they are questions like others."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

import kapok.client
from kapok.demo.hospitals import _COLUMNS, HOSPITALS


@pytest.fixture(scope="module")
def pooled(network):
    paths = [network.nodes[one.name].home / f"processed.{one.name}.data" for one in HOSPITALS]
    return pd.concat([pd.read_csv(path, names=list(_COLUMNS), na_values="?") for path in paths])


def test_tests_matrices_and_survival_are_asked_by_their_own_commands(network):
    asked = ("--dataset", "heart", "--json")
    tested = network.kapok("test", "t", "chol ~ sex", *asked)
    assert tested.status == 0, tested.stderr
    assert tested.document()["report"]["status"] == "complete"
    curves = network.kapok("survival", "Surv(age, num > 0) ~ 1", "--grid", "50,60,80", *asked)
    assert curves.status == 0, curves.stderr
    assert curves.document()["report"]["text"].startswith("SURVIVAL age EVENT num > 0 GRID (50, 60, 80)")
    matrix = network.kapok("matrix", "correlation", "age", "chol", *asked)
    assert matrix.status == 0, matrix.stderr
    shown = network.kapok("job", "result", matrix.document()["job"])
    assert "correlation" in shown.stdout
    hazards = network.kapok("cox", "Surv(age, num > 0) ~ sex", "--grid", "50,60,80", *asked)
    assert hazards.status == 0, hazards.stderr
    assert hazards.document()["report"]["status"] in ("complete", "suppressed")
    combined = network.kapok("meta", "chol ~ age", *asked)
    assert combined.status == 0, combined.stderr
    assert combined.document()["report"]["text"].startswith("META GLM chol ON 1, age")


def test_a_session_gives_the_pooled_results(network, pooled):
    with kapok.client.connect(network.analyst) as session:
        tested = session.test("t", "chol ~ sex", dataset="heart")
        groups = (pooled.chol[pooled.sex == sex].dropna() for sex in (0, 1))
        assert tested.p_value == pytest.approx(ttest_ind(*groups, equal_var=False).pvalue, rel=1e-8)
        matrix = session.matrix("covariance", ["age", "chol"], dataset="heart")
        truth = pooled[["age", "chol"]].dropna().cov().to_numpy()
        np.testing.assert_allclose(matrix.matrix, truth, rtol=1e-8)
        curves = session.survival("Surv(age, num > 0) ~ 1", dataset="heart", grid=[50, 60, 80])
        assert curves.report.rows == (len(pooled),)
        fit = session.cox("Surv(age, num > 0) ~ sex", dataset="heart", grid=[50, 60, 80])
        assert fit.converged or fit.reasons
        combined = session.meta("chol ~ age", dataset="heart")
        assert combined.report.studies in (0, 4)
