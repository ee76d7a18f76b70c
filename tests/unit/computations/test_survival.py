"""Curves and log-rank over several holders against statsmodels on the pooled rows."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from support.models import LAX, Outcome, close, run, split

from kapok.computations import Thresholds
from kapok.computations.survival.view import Curves
from kapok.documents.dataset import Column, Dataset
from kapok.errors import InvalidInput

DATASET = Dataset(
    name="data",
    rows_max=10_000,
    empty_cells="show",
    columns=(
        Column(name="time", type="integer", minimum=0, maximum=60, nullable=True),
        Column(name="event", type="boolean"),
        Column(name="status", type="integer", domain=(1, 2)),
        Column(name="arm", type="text", domain=("drug", "none", "placebo")),
        Column(name="x", type="decimal", minimum="-5", maximum="5", resolution="0.01"),
    ),
)
EVERY = ", ".join(map(str, range(61)))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(3)
    n = 600
    arm = random.choice(["drug", "placebo"], n)
    died = random.exponential(np.where(arm == "drug", 30, 18), n)
    left = random.uniform(5, 70, n)
    event = died <= left
    made = pd.DataFrame(
        {
            "time": np.minimum(died, left).clip(0, 60).round(),
            "event": event,
            "status": np.where(event, 2, 1),
            "arm": arm,
            "x": random.normal(0, 1, n).round(2),
        }
    )
    made.loc[random.uniform(size=n) < 0.03, "time"] = None
    # A group that one holder does not have.
    made.loc[(np.arange(n) * 3) % 5 == 0, "arm"] = "drug"
    return made


@pytest.fixture(scope="module")
def engines(frame):
    made = split(frame)
    yield made
    for engine in made:
        engine.connection.close()


def curves(text, engines, thresholds=LAX):
    return Curves(Outcome(run("survival", text, DATASET, engines, thresholds)))


def test_curves_are_those_of_the_pooled_rows(frame, engines):
    mine = curves(f"SURVIVAL time EVENT event BY arm GRID ({EVERY}) FROM data", engines)
    assert mine.status == "complete", mine
    known, table = frame.dropna(), mine.to_pandas()
    for arm in ("drug", "placebo"):
        rows = known[known.arm == arm]
        pooled = sm.SurvfuncRight(rows.time, rows.event)
        here = table[(table.group == arm) & table.time.isin(pooled.surv_times)]
        close(here.survival, pooled.surv_prob)
        close(here.std_error, pooled.surv_prob_se)
        assert list(here.at_risk) == list(pooled.n_risk)
        assert list(here.events) == list(pooled.n_events)
        assert mine.medians[arm] == pooled.quantile(0.5)
    statistic, p = sm.duration.survdiff(known.time, known.event, known.arm)
    close(mine.log_rank.statistic, statistic)
    close(mine.log_rank.p_value, p)
    assert mine.log_rank.degrees == 1


GRID = (3, 6, 10, 15, 20, 30)


def on_grid(frame):
    """The pooled rows with times rounded up to the grid; what lies beyond is watched to the end."""
    known = frame.dropna().copy()
    places = np.searchsorted(GRID, known.time)
    known["event"] &= places < len(GRID)
    known["time"] = np.array([*GRID, 1000])[places]
    return known


def cox(formula, engines, thresholds=LAX, **how):
    from kapok.computations.cox.formula import cox_text
    from kapok.computations.cox.view import HazardsFit

    return HazardsFit(Outcome(run("cox", cox_text(formula, DATASET, **how), DATASET, engines, thresholds)))


def test_proportional_hazards_are_those_of_the_pooled_rows(frame, engines):
    mine = cox("Surv(time, event) ~ x + C(arm, levels=['drug', 'placebo']) + I(x > 0)", engines, grid=GRID)
    assert mine.converged, mine.reasons
    known = on_grid(frame)
    design = np.column_stack([known.x, known.arm == "placebo", known.x > 0]).astype(float)
    pooled = sm.PHReg(known.time, design, status=known.event, ties="breslow").fit(method="newton", tol=1e-14)
    close(mine.coefficients, pooled.params, 1e-10)
    close(mine.errors, pooled.bse, 1e-10)
    close(mine.report.log_likelihood, pooled.llf)
    assert mine.report.events == known.event.sum()
    assert mine.report.rows_dropped == len(frame) - len(known)


def test_a_level_that_nobody_has_is_left_out_of_proportional_hazards(engines):
    mine = cox("Surv(time, event) ~ x + arm", engines, grid=GRID)
    there = cox("Surv(time, event) ~ x + C(arm, levels=['drug', 'placebo'])", engines, grid=GRID)
    assert mine.report.absent == ("arm[none]",)
    assert mine.coefficients.keys() == there.coefficients.keys()
    close(mine.coefficients, list(there.coefficients.values()), 1e-10)
    close(mine.errors, list(there.errors.values()), 1e-10)
    close(list(mine.baseline.values())[1:], list(there.baseline.values())[1:], 1e-10)
    assert "LEFT OUT: arm[none], which no row has." in str(mine)


def test_a_coarse_grid_is_the_pooled_rows_with_times_rounded_up(frame, engines):
    mine = curves("SURVIVAL time EVENT status = 2 GRID (3, 6, 10, 15, 20, 30) FROM data WHERE x > 0", engines)
    known = on_grid(frame[frame.x > 0])
    pooled = sm.SurvfuncRight(known.time, known.event)
    close(mine.to_pandas().survival, pooled.surv_prob)
    close(mine.to_pandas().std_error, pooled.surv_prob_se)
    assert mine.log_rank is None
    log, far = np.log(pooled.surv_prob), 1.959963984540054 * pooled.surv_prob_se / pooled.surv_prob
    close(mine.to_pandas().ci_low, np.exp(log * np.exp(-far / log)))
    close(mine.to_pandas().ci_high, np.exp(log * np.exp(far / log)))


def test_curves_end_where_somebody_has_too_few_rows(engines):
    text = "SURVIVAL time EVENT event GRID (10, 20, 30, 40, 42, 44, 46, 48) FROM data"
    mine, whole = curves(text, engines, Thresholds(10, 4)), curves(text, engines)
    assert mine.status == "suppressed"
    shown, all_of_it = mine.to_pandas(), whole.to_pandas()
    assert 0 < len(shown) < len(all_of_it)
    beside = shown.merge(all_of_it, how="left", on=["group", "time"], suffixes=("", "_whole"))
    close(beside.survival, beside.survival_whole)
    assert "SUPPRESSED" in str(mine)
    assert mine.report.until == (shown.time.max(),)


def test_one_time_at_the_end_is_a_grid_too(frame, engines):
    mine = curves("SURVIVAL time EVENT event GRID (60) FROM data", engines).to_pandas()
    known = frame.dropna()
    assert list(mine.at_risk) == [len(known)]
    assert list(mine.events) == [known.event.sum()]


def test_no_events_are_said(engines):
    mine = curves("SURVIVAL time EVENT x > 4.99 GRID (10, 60) FROM data", engines)
    assert mine.status == "no_events"
    assert list(mine.to_pandas().survival) == [1.0, 1.0]
    assert cox("Surv(time, I(x > 4.99)) ~ x", engines, grid=[10, 30]).status == "no_events"


def test_curves_are_drawn_as_steps_with_bands(engines):
    pytest.importorskip("matplotlib")
    axes = curves("SURVIVAL time EVENT event BY arm GRID (10, 30, 60) FROM data", engines).plot()
    assert len(axes.lines) == 2
    assert len(axes.collections) == 2
    assert list(axes.lines[0].get_xdata()) == [0, 10, 30, 60]
    assert axes.get_legend().get_title().get_text() == "arm"


def test_formulas_become_the_texts_that_travel(engines):
    from kapok.computations.survival.formula import survival_text

    assert (
        survival_text("Surv(time, status == 2) ~ arm", DATASET, every=20, where="x > 0")
        == "SURVIVAL time EVENT status = 2 BY arm GRID (20, 40, 60) FROM data WHERE x > 0"
    )
    assert "BY" not in survival_text("Surv(time, event) ~ 1", DATASET)
    for left in ("time", "Surv(time)", "Surv(time, event, x)", "Surv(__import__('os'), event)", "Surv(time,"):
        with pytest.raises(InvalidInput):
            survival_text(f"{left} ~ arm", DATASET)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SURVIVAL x EVENT event GRID (1) FROM data", "negative_times"),
        ("SURVIVAL arm EVENT event GRID (1) FROM data", "type_mismatch"),
        ("SURVIVAL time EVENT time GRID (1) FROM data", "bad_event"),
        ("SURVIVAL time EVENT event GRID (2, 1) FROM data", "bad_grid"),
        ("SURVIVAL time EVENT event GRID (x) FROM data", "bad_grid"),
        ("SURVIVAL time EVENT event GRID (1) FROM other", "unknown_dataset"),
        ("COX time EVENT event ON 1, x GRID (1) ROUNDS 5 FROM data", "bad_model"),
        ("COX x EVENT event ON x GRID (1) ROUNDS 5 FROM data", "negative_times"),
        ("COX time EVENT event ON x GRID (1) ROUNDS 1 FROM data", "bad_model"),
        ("COX time EVENT event ON arm LEVELS ('drug', 'zz') GRID (1) ROUNDS 5 FROM data", "unknown_level"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text, code):
    from kapok.computations.registry import computation

    with pytest.raises(InvalidInput) as caught:
        computation(text.split()[0].lower()).parse(text, DATASET)
    assert caught.value.code == code
    assert caught.value.remedy


def test_what_cannot_be_fitted_is_said(engines):
    same = cox("Surv(time, event) ~ x + I(2 * x)", engines, grid=GRID)
    assert (same.status, same.reasons) == ("dependent_columns", ("2 * x",))
    told = cox("Surv(time, I(x > 0)) ~ I(x > 0)", engines, grid=(10, 20, 30))
    assert told.status == "separated", told
    assert cox("Surv(time, event) ~ x", engines, grid=GRID, rounds=2).status == "not_converged"
    ridged = cox("Surv(time, I(x > 0)) ~ I(x > 0)", engines, grid=(10, 20, 30), ridge=1)
    assert ridged.converged


def test_holders_hide_intervals_of_few_rows_and_coefficients_that_choose_one(frame, engines):
    from kapok.computations.cox.coefficients import Coefficients
    from kapok.computations.registry import computation

    few = cox("Surv(time, event) ~ x", engines, Thresholds(10, 5), grid=(1, 10, 30))
    assert few.status == "suppressed"
    assert "interval: 1" in few.reasons
    assert not few.coefficients
    kind, text = computation("cox"), "COX time EVENT event ON x GRID (10, 20) ROUNDS 5 FROM data"
    model = kind.parse(text, DATASET)
    told: list[str] = []
    for steep in (0.0, 30.0):
        kind.steps.contribute(
            model,
            DATASET,
            Coefficients(np.array([steep])),
            engines[0],
            Thresholds(10, 5),
            lambda _what, why: told.append(why),
        )
        assert bool(told) == bool(steep), told


def test_what_is_said_of_grids_and_of_curves_that_are_hidden(engines):
    from kapok.computations.survival.formula import survival_text

    with pytest.raises(InvalidInput) as caught:
        survival_text("Surv(time, event) ~ 1", DATASET, every=0.1)
    assert caught.value.code == "bad_grid"
    assert "are 600" in caught.value.message
    assert "take them 1 apart or more" in caught.value.remedy
    for every in (0, -1, float("nan")):
        with pytest.raises(InvalidInput, match="above 0"):
            survival_text("Surv(time, event) ~ 1", DATASET, every=every)
    hidden = curves("SURVIVAL time EVENT event GRID (1, 60) FROM data", engines, Thresholds(10, 50))
    assert "no time of its curve is shown" in str(hidden)
    assert "0 events" not in str(hidden)
    few = cox("Surv(time, event) ~ x", engines, Thresholds(10, 5), every=1)
    assert "(`min_cell`, `parameters_percent`, `leverage_percent`)" in few.message
