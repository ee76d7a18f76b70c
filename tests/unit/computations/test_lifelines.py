"""Survival against lifelines on the pooled rows: curves with their bands, log-rank, proportional hazards.

lifelines breaks ties as Efron does, and Kapok as Breslow: hazards are compared where no two events have one
time, for there both are Cox's own partial likelihood.
"""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from support.models import FrameEngine, Outcome, close, run

from kapok.computations.cox.formula import cox_text
from kapok.computations.cox.view import HazardsFit
from kapok.computations.survival.formula import survival_text
from kapok.computations.survival.view import Curves
from kapok.documents.dataset import Column, Dataset

DAYS, LEAVE = 80, 4
ARMS = ("drug", "none", "placebo")
DATASET = Dataset(
    name="data",
    rows_max=10_000,
    empty_cells="show",
    columns=(
        Column(name="day", type="integer", minimum=0, maximum=DAYS),
        Column(name="week", type="integer", minimum=0, maximum=60),
        Column(name="event", type="boolean"),
        Column(name="first", type="boolean"),
        Column(name="arm", type="text", domain=ARMS),
        Column(name="x", type="decimal", minimum="-5", maximum="5", resolution="0.01"),
    ),
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(8)
    rows = DAYS * LEAVE
    arm, x = random.choice(ARMS, rows), random.normal(0, 1, rows).round(2)
    died = random.exponential(20 * np.exp(0.5 * x + 0.4 * (arm == "drug")))
    made = pd.DataFrame({"week": np.ceil(died.clip(0, 60)).astype(int), "arm": arm, "x": x})
    made["event"] = died <= random.uniform(5, 70, rows)
    # Of those who leave on one day, at one holder, one has the event.
    made = made.iloc[np.argsort(died + random.normal(0, 8, rows))].reset_index(drop=True)
    made["day"] = 1 + made.index // LEAVE
    made["first"] = made.index % LEAVE == 0
    return made


@pytest.fixture(scope="module")
def engines(frame):
    made = [FrameEngine(frame[frame.day % 3 == holder]) for holder in range(3)]
    yield made
    for engine in made:
        engine.connection.close()


def test_curves_and_bands_and_their_comparison(frame, engines):
    text = survival_text("Surv(week, event) ~ arm", DATASET, every=1)
    mine = Curves(Outcome(run("survival", text, DATASET, engines)))
    assert mine.status == "complete", mine
    table = mine.to_pandas()
    for arm in ARMS:
        rows = frame[frame.arm == arm]
        pooled = KaplanMeierFitter().fit(rows.week, rows.event)
        here = table[(table.group == arm) & table.time.isin(pooled.survival_function_.index)]
        there = pooled.survival_function_.join(pooled.confidence_interval_).loc[here.time]
        for column, theirs in zip(("survival", "ci_low", "ci_high"), there.columns, strict=True):
            close(here[column], there[theirs])
        assert mine.medians[arm] == pooled.median_survival_time_
    test = multivariate_logrank_test(frame.week, frame.arm, frame.event)
    close(mine.log_rank.statistic, test.test_statistic)
    close(mine.log_rank.p_value, test.p_value)


def test_proportional_hazards(frame, engines):
    text = cox_text("Surv(day, first) ~ x + arm", DATASET, every=1)
    mine = HazardsFit(Outcome(run("cox", text, DATASET, engines)))
    assert mine.converged, mine
    known = frame[["day", "first", "x"]].astype(float)
    for arm in ARMS[1:]:
        known[f"arm[{arm}]"] = (frame.arm == arm).astype(float)
    pooled = CoxPHFitter().fit(known, "day", "first", fit_options={"precision": 1e-12})
    names = list(mine.coefficients)
    close(mine.coefficients, pooled.params_[names])
    close(mine.errors, pooled.standard_errors_[names])
    close(mine.covariance.ravel(), pooled.variance_matrix_.loc[names, names].to_numpy().ravel())
    close(mine.report.log_likelihood, pooled.log_likelihood_)
    close(mine.report.ratio_test[0], pooled.log_likelihood_ratio_test().test_statistic)
    # Theirs is of a row of means, and Kapok's of a row of zeros.
    shift = np.exp(known[names].mean() @ pooled.params_[names])
    baseline = pooled.baseline_cumulative_hazard_["baseline cumulative hazard"]
    close(mine.baseline, baseline.reindex(mine.baseline, method="ffill").fillna(0.0) / shift)
