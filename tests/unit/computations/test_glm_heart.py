"""The heart disease files of four hospitals: printed digits, and the hospital that separates alone."""

import pytest
from support.models import LAX, fit

from kapok.computations import Thresholds

FORMULA = "num > 0 ~ age + sex + oldpeak + exang"
REST = ("cp", "trestbps", "chol", "fbs", "restecg", "thalach")


def test_the_digits_of_the_pooled_fit(heart, hospitals):
    found = fit(FORMULA, heart, list(hospitals.values()), LAX, family="binomial", complete=REST)
    assert found.converged
    assert found.rows_used == 740
    printed = [f"{value:.6f}" for value in found.coefficients.values()]
    assert printed == ["-4.703793", "0.046415", "1.499481", "0.650018", "1.680743"]
    printed = [f"{value:.6f}" for value in found.errors.values()]
    assert printed == ["0.614664", "0.010493", "0.232330", "0.104650", "0.202657"]
    assert f"{found.deviance:.6f}" == "714.363908"


def test_one_hospital_alone_separates(heart, hospitals):
    found = fit(FORMULA, heart, [hospitals["switzerland"]], LAX, family="binomial", complete=REST)
    assert found.status == "separated"
    assert {"sex", "exang"} <= set(found.reasons)


def test_the_one_healthy_patient_of_that_hospital_is_not_shown_by_default(heart, hospitals):
    engines, rules = list(hospitals.values()), Thresholds(20, 5)
    found = fit(FORMULA, heart, engines, rules, family="binomial", complete=REST)
    assert found.status == "suppressed"
    assert set(found.reasons) == {"nearly_constant: num > 0", "nearly_constant: sex"}
    assert "num > 0" in found.message
    whole = fit(FORMULA, heart, engines, rules, family="binomial")
    assert whole.converged
    assert (whole.rows_used, whole.rows_dropped) == (857, 63)
    assert whole.coefficients["age"] == pytest.approx(0.0483397094751, rel=1e-10)
