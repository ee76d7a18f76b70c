"""A regression over real processes: the pooled fit, what holders do not show, nodes that go in between."""

import csv
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from kapok.demo.hospitals import _COLUMNS, HOSPITALS

ASKED = ("num > 0 ~ age + sex + oldpeak + exang", "--dataset", "heart", "--family", "binomial")
COMPLETE = ("cp", "trestbps", "chol", "fbs", "restecg", "thalach")
REST = [argument for name in COMPLETE for argument in ("--complete", name)]


@pytest.fixture(scope="module")
def pooled(network):
    frames = []
    for hospital in HOSPITALS:
        path = network.nodes[hospital.name].home / f"processed.{hospital.name}.data"
        frames.append(pd.read_csv(path, names=list(_COLUMNS), na_values="?"))
    frame = pd.concat(frames)
    frame["ill"] = (frame.num > 0).astype(int)
    formula = "ill ~ age + sex + oldpeak + exang"
    return smf.glm(formula, frame, family=sm.families.Binomial()).fit(tol=1e-13)


def round_of(network, job):
    uri = f"{(network.broker.home / 'broker.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return connection.execute("SELECT round FROM job WHERE id = ?", (job,)).fetchone()[0]


def test_a_regression_is_that_of_the_pooled_rows(network, pooled, tmp_path):
    out = tmp_path / "fit.csv"
    finished = network.kapok("glm", *ASKED, "--out", str(out), "--json")
    assert finished.status == 0, finished.stderr
    document = finished.document()
    fit = document["fit"]
    assert fit["status"] == "converged"
    np.testing.assert_allclose(fit["coefficients"], pooled.params, rtol=1e-8)
    np.testing.assert_allclose(fit["errors"], pooled.bse, rtol=1e-8)
    assert fit["deviance"] == pytest.approx(pooled.deviance, rel=1e-10)
    assert len(document["parties"]) == 4
    lines = list(csv.reader(out.read_text().splitlines()))
    assert lines[0][:3] == ["term", "estimate", "std_error"]
    assert float(lines[2][1]) == pytest.approx(pooled.params["age"], rel=1e-8)
    shown = network.kapok("job", "result", document["job"])
    assert "Generalised linear model" in shown.stdout
    assert "cleveland, hungarian, switzerland, va" in shown.stdout


def test_what_a_holder_does_not_show_is_named_by_rule_and_column(network):
    finished = network.kapok("glm", *ASKED, *REST)
    assert finished.status == 0, finished.stderr
    assert "SUPPRESSED" in finished.stdout
    assert "fewer than `min_cell` rows beside the commonest value of sex, num > 0" in finished.stdout
    assert "switzerland" not in finished.stdout.partition("SUPPRESSED")[2]


def test_what_cannot_be_asked_is_refused_before_anything_is_sent(network, fails):
    fails(network.kapok("glm", "num ~ __import__('os')", "--dataset", "heart"), 3, "unknown_function")
    fails(network.kapok("glm", "num ~ age +", "--dataset", "heart"), 3, "bad_formula")
    fails(network.kapok("glm", "num ~ age", "--dataset", "hart"), 5, "unknown_dataset")


def test_a_node_and_the_broker_that_go_between_rounds_come_back(network, begin, until, job_state, pooled):
    job = network.kapok("glm", *ASKED, "--detach", "--json").document()["job"]
    until(lambda: job_state(job) == "steering")
    waiting = begin(network.analyst, "job", "wait", job)
    until(lambda: round_of(network, job) > 2 or waiting.poll() is not None)
    waiting.kill()
    waiting.communicate()
    for process in (network.nodes["va"], network.broker):
        process.kill()
        process.start()
        process.wait_ready()
    finished = network.kapok("job", "wait", job, "--json")
    assert finished.status == 0, finished.stderr
    np.testing.assert_allclose(finished.document()["fit"]["coefficients"], pooled.params, rtol=1e-8)


def test_a_source_that_changes_between_rounds_ends_the_job(network, until, job_state, fails):
    job = network.kapok("glm", *ASKED, "--detach", "--json").document()["job"]
    until(lambda: job_state(job) == "steering")
    path = network.nodes["va"].home / "processed.va.data"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"63,1,4,140", b"64,1,4,140"))
    try:
        error = fails(network.kapok("job", "wait", job, "--json"), 6, "data_changed")
        assert "va" in error["party"]
    finally:
        path.write_bytes(content)


def test_what_each_holder_would_say_to_a_model(network):
    finished = network.kapok("glm", *ASKED, "--where", "age > 50", "--explain", "--json")
    assert finished.status == 0, finished.stderr
    document = finished.document()
    assert document["operations"] == ["glm"]
    assert document["columns"] == ["age", "exang", "num", "oldpeak", "sex"]
    assert document["allowed"] is True
    assert "with age > 50" in document["in_words"]
    shown = network.kapok("survival", "Surv(age, num > 0) ~ 1", "--dataset", "heart", "--explain")
    assert shown.stdout.count(" allow\n") == 4
    refused = network.kapok("glm", *ASKED, "--explain", "--detach")
    assert refused.status == 2


@pytest.mark.slow
def test_the_example_of_a_regression_runs():
    script = Path(__file__).parents[2] / "examples" / "heart_regression.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    hidden, shown = done.stdout.split("Least cell 1")
    assert "SUPPRESSED" in hidden
    assert "num > 0" in hidden
    for digits in ("-4.70379", "0.0464154", "1.49948", "0.650018", "1.68074", "0.614664", "714.364"):
        assert digits in shown
