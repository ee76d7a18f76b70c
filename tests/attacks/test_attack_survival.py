"""Survival, tests and matrices that are asked for one person's sake, and coefficients that are sent for it.

A holder's rule is tried with and without: where it is taken away, the attack tells what it is after.
"""

import numpy as np
import pandas as pd
import pytest
from support.models import LAX, FrameEngine, Outcome, run

from kapok.computations import Thresholds
from kapok.computations.comparison.view import Test as Shown
from kapok.computations.cox.coefficients import Coefficients
from kapok.computations.cox.view import HazardsFit
from kapok.computations.meta.view import MetaAnalysis
from kapok.computations.registry import computation
from kapok.computations.survival.view import Curves
from kapok.documents.dataset import Column, Dataset

PERSON, TIME = 140, 7
DATASET = Dataset(
    name="stays",
    rows_max=1000,
    empty_cells="hide",
    columns=(
        Column(name="person", type="integer", minimum=0, maximum=1000),
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="time", type="integer", minimum=0, maximum=30),
        Column(name="died", type="boolean"),
    ),
)
RULES = Thresholds(20, 5)


@pytest.fixture(scope="module")
def engines():
    random = np.random.default_rng(5)
    made = []
    for holder in range(3):
        n = 120
        person = np.arange(n) + 100 * holder + 20 * (holder > 0)
        time = np.where(person == PERSON, TIME, random.integers(1, 30, n))
        died = random.uniform(size=n) < 0.5
        age = np.where(person == PERSON, 119, random.integers(20, 70, n))
        made.append(FrameEngine(pd.DataFrame({"person": person, "age": age, "time": time, "died": died})))
    yield made
    for engine in made:
        engine.connection.close()


def cox(text, engines, thresholds):
    return HazardsFit(Outcome(run("cox", text, DATASET, engines, thresholds)))


def curves(text, engines, thresholds):
    return Curves(Outcome(run("survival", text, DATASET, engines, thresholds)))


def test_an_event_that_marks_one_person_or_asks_whether_there_is_one(engines):
    text = "COX time EVENT person = {} ON age GRID (10, 20, 30) RIDGE 1 ROUNDS 9 FROM stays"
    told = cox(text.format(PERSON), engines, Thresholds(1, 1))
    assert told.status == "suppressed"
    open_to_all = Dataset(name="stays", rows_max=1000, empty_cells="show", columns=DATASET.columns)
    seen = HazardsFit(Outcome(run("cox", text.format(PERSON), open_to_all, engines, LAX)))
    assert seen.report.events == 1
    # Whether there is one or none, the answer is the same.
    for person in (PERSON, 999):
        refused = cox(text.format(person), engines, RULES)
        assert refused.status == "suppressed"
        assert refused.reasons == ("interval: 10", "interval: 20", "interval: 30")


def test_an_interval_in_which_few_leave(engines):
    text = f"COX time EVENT died ON age GRID ({TIME - 1}, {TIME}, 20, 30) ROUNDS 9 FROM stays"
    assert cox(text, engines, LAX).converged
    refused = cox(text, engines, Thresholds(20, 15))
    assert refused.status == "suppressed"
    assert f"interval: {TIME}" in refused.reasons
    assert not refused.coefficients
    assert refused.report.rows_used == 0


def test_a_condition_inside_of_a_term_of_proportional_hazards(engines):
    term = f"age + CASE WHEN person = {PERSON} THEN 1 ELSE 0 END"
    text = f"COX time EVENT died ON {term} GRID (10, 20) ROUNDS 9 FROM stays"
    assert cox(text, engines, LAX).converged
    assert cox(text, engines, RULES).reasons == (f"nearly_constant: condition person = {PERSON}",)


def test_a_condition_that_leaves_one_person_out_of_proportional_hazards(engines):
    text = "COX time EVENT died ON age GRID (10, 20, 30) ROUNDS 9 FROM stays WHERE {}"
    others = f"person <> {PERSON}"
    assert cox(text.format(others), engines, LAX).converged
    refused = cox(text.format(others), engines, RULES)
    assert refused.reasons == (f"nearly_constant: condition {others}",)
    assert cox(text.format("age < 60"), engines, RULES).converged


def test_the_one_event_of_another_value_that_comes_first_of_many(engines):
    # Σ x over events is that row's own where all other events have 0, and it is the first that is read.
    n = 9000
    random = np.random.default_rng(6)
    died = np.arange(n) >= n - 900
    age = np.where(died, 0, random.integers(20, 70, n))
    died[0], age[0] = True, 119
    rows = pd.DataFrame({"person": 1, "age": age, "time": random.integers(1, 30, n), "died": died})
    many = Dataset(name="stays", rows_max=n, empty_cells="hide", columns=DATASET.columns)
    text = "COX time EVENT died ON age GRID (10, 20) RIDGE 1 ROUNDS 9 FROM stays"

    def asked(thresholds):
        return HazardsFit(Outcome(run("cox", text, many, [engine, *engines[1:]], thresholds)))

    engine = FrameEngine(rows)
    try:
        assert asked(LAX).converged
        assert asked(RULES).reasons == ("few_events: age",)
    finally:
        engine.connection.close()


def test_coefficients_that_choose_one_row_of_an_interval(engines):
    kind = computation("cox")
    model = kind.parse("COX time EVENT died ON age GRID (10, 20, 30) ROUNDS 9 FROM stays", DATASET)
    steep = Coefficients(np.array([16.0]))
    told: list[str] = []

    def words(thresholds):
        found = kind.steps.contribute(
            model, DATASET, steep, engines[1], thresholds, lambda _what, why: told.append(why)
        ).to_integers()
        return [model.scale.value(word) for word in found[len(model.layout.flags) + model.layout.counts :]]

    first = words(LAX)[1 : 1 + model.layout.width]
    # Σ w x by Σ w is the age of the oldest, nearly.
    age = first[1] / first[0] * model.design.half[0] + model.design.centre[0]
    assert age == pytest.approx(119, abs=0.5)
    assert not told
    words(RULES)
    assert told == ["interval: 10"]


def test_a_curve_of_one_person_and_the_step_between_two_curves(engines):
    # Alone it is hidden; two curves subtract, as two questions do; an interval of few rows is hidden.
    text = f"SURVIVAL time EVENT died GRID ({TIME - 1}, {TIME}, 30) FROM stays WHERE person {{}} {PERSON}"
    assert curves(text.format("="), engines, RULES).report.rows == (-1,)
    whole = curves(f"SURVIVAL time EVENT died GRID ({TIME}, 30) FROM stays", engines, LAX)
    rest = curves(
        f"SURVIVAL time EVENT died GRID ({TIME}, 30) FROM stays WHERE person <> {PERSON}", engines, LAX
    )
    assert sum(whole.to_pandas().at_risk) - sum(rest.to_pandas().at_risk) == 1
    hidden = curves(
        f"SURVIVAL time EVENT died GRID ({TIME - 1}, {TIME}, 30) FROM stays", engines, Thresholds(20, 15)
    )
    assert hidden.status == "suppressed"
    assert TIME not in set(hidden.to_pandas().time)


def test_a_test_that_compares_one_person_with_all(engines):
    text = f"TEST t OF age BY person = {PERSON} FROM stays"
    told = Shown(Outcome(run("comparison", text, DATASET, engines, Thresholds(1, 1))))
    assert told.status == "suppressed"
    open_to_all = Dataset(name="stays", rows_max=1000, empty_cells="show", columns=DATASET.columns)
    seen = Shown(Outcome(run("comparison", text, open_to_all, engines, Thresholds(1, 1))))
    assert 119 in set(seen.to_pandas()["mean"])
    refused = Shown(Outcome(run("comparison", text, DATASET, engines, RULES)))
    assert refused.status == "suppressed"
    assert 119 not in set(refused.to_pandas()["mean"])


def test_a_single_fit_is_not_left_over_where_all_others_have_none(engines):
    text = "META GLM age ON 1, time FAMILY gaussian LINK identity ROUNDS 9 FROM stays"
    empty = [FrameEngine(pd.DataFrame({"person": [], "age": [], "time": [], "died": []})) for _ in range(2)]
    alone = MetaAnalysis(Outcome(run("meta", text, DATASET, [engines[0], *empty], RULES)))
    assert alone.status == "suppressed"
    assert not len(alone.to_pandas())
    assert MetaAnalysis(Outcome(run("meta", text, DATASET, engines, RULES))).report.studies == 3
