"""How many questions, and when: each try counts once, nobody overspends, an early one spends nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from kapok.nodes.journal.history import asked, read_only
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent, Refusal
from kapok.nodes.runner.pace import Pace
from kapok.nodes.states import Event

COUNT = "SELECT COUNT(*) FROM clinic"
DAY_S = 24 * 3600
TUESDAY_NOON = datetime(2027, 1, 19, 12, tzinfo=UTC).timestamp()
FOREVER = {"deadline": TUESDAY_NOON + 20 * DAY_S}


@pytest.fixture
def node(world):
    world.clock.now = TUESDAY_NOON
    return world.nodes["a"]


@pytest.fixture
def judged_by(node, make_rule):
    def judge_by(timezone="UTC", **changes):
        node.judge_by(Policy((make_rule(**changes),), timezone=timezone))

    return judge_by


def code_of(world, node, **changes):
    """The refusal's code, or None for a consent, of a new question."""
    answers = world.job(COUNT, **FOREVER, **changes).offer(node)
    return None if isinstance(answers[0], Consent) else world.refusal(answers).code


def test_a_days_questions_are_granted_anew_at_the_holders_midnight(world, node, judged_by):
    judged_by(timezone="Asia/Tokyo", questions_per_day=2)
    assert [code_of(world, node) for _ in range(3)] == [None, None, "day_budget_exhausted"]
    node.start()
    refusal = world.refusal(world.job(COUNT, **FOREVER).offer(node))
    assert refusal.clause == "policy.rule[1].questions_per_day"
    assert "2027-01-20 00:00 (Asia/Tokyo)" in refusal.remedy
    world.clock.now += 3 * 3600 - 1
    assert code_of(world, node) == "day_budget_exhausted"
    world.clock.now += 1
    assert [code_of(world, node) for _ in range(3)] == [None, None, "day_budget_exhausted"]


def test_every_question_of_every_day_counts_in_all(world, node, judged_by):
    judged_by(questions=3, questions_per_day=2)
    assert [code_of(world, node) for _ in range(2)] == [None, None]
    world.clock.now += DAY_S
    assert [code_of(world, node) for _ in range(2)] == [None, "budget_exhausted"]


def test_an_organisation_fills_no_disk_with_questions(world, node, judged_by):
    """Whether or not the policy knows it: what is asked too often in a day is refused, and not noted."""
    judged_by(questions=1)
    node.runner._context.asked = Pace(DAY_S, 3)
    codes = [code_of(world, node, by=by) for by in ("one", "two", "one", "two", "one")]
    assert codes == [None, "budget_exhausted", "budget_exhausted", *["too_many_questions_in_day"] * 2]
    noted = read_only(node.home / "journal.db", lambda found: asked(found, now=world.clock()))
    assert len(noted) == 3
    # Another organisation has a count of its own, and tomorrow is another day.
    assert code_of(world, node, organisation="stranger") == "not_authorised"
    world.clock.now += DAY_S
    assert code_of(world, node) == "budget_exhausted"


@pytest.mark.parametrize("key", ["questions", "questions_per_day"])
def test_questions_that_come_at_once_never_overspend(world, node, judged_by, key):
    judged_by(**{key: 3})
    jobs = [world.job(COUNT, by=by, **FOREVER) for by in ("one", "two") for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda job: job.offer(node), jobs))
    assert sum(isinstance(one, Consent) for [one] in answers) == 3
    assert sum(isinstance(one, Refusal) for [one] in answers) == 5


def test_outside_of_the_hours_a_question_is_refused_with_when_it_opens_and_spends_nothing(
    world, node, judged_by
):
    judged_by(hours=("mon-fri 08:00-18:00",), questions=1, questions_per_day=1)
    world.clock.now += 6 * 3600
    early = world.job(COUNT, **FOREVER)
    refusal = world.refusal(early.offer(node))
    assert (refusal.kind, refusal.code) == ("ConsentWithheld", "outside_hours")
    assert refusal.clause == "policy.rule[1].hours"
    assert "2027-01-20 08:00 (UTC)" in refusal.remedy
    assert "mon-fri 08:00-18:00" in refusal.message
    for _ in range(3):
        assert code_of(world, node) == "outside_hours"
    world.clock.now += 14 * 3600
    # For good: the same job is not let in by coming again.
    assert world.refusal(early.offer(node)) == refusal
    assert code_of(world, node) is None
    assert code_of(world, node) == "budget_exhausted"


def test_what_was_asked_in_time_is_answered_to_its_end(world, node, judged_by):
    judged_by(hours=("tue 12:00-12:01",))
    job = world.job(COUNT, **FOREVER)
    consents = job.consent()
    world.clock.now += 60
    node.start()
    again = [job.offer(node)[0].token, *consents[1:]]
    seals = job.seal(again)
    world.clock.now += 3600
    assert job.unseal(again, seals, job.release(seals)).words
    assert code_of(world, node) == "outside_hours"


def test_what_an_officer_approves_out_of_hours_is_answered(world, node, judged_by):
    judged_by(hours=("tue 12:00-12:01",), approval="manual")
    job = world.job(COUNT, **FOREVER)
    assert job.offer(node) == []
    world.clock.now += 3600
    inbox = node.inbox()
    inbox.decide(job.id, Event.APPROVAL)
    inbox.close()
    assert isinstance(node.runner.decided()[0], Consent)


def test_who_has_no_rule_is_told_so_at_any_hour(world, node, judged_by):
    judged_by(hours=("sun 00:00-00:01",))
    assert code_of(world, node, organisation="insurer") == "not_authorised"
