"""Manual approval: an officer sees question, history and cohort, and never a number of rows."""

import pytest

from kapok.errors import InvalidInput, NotFound
from kapok.nodes import approvals, officers
from kapok.nodes.journal import NewJob
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent
from kapok.nodes.states import Event
from kapok.wire.messages import Closed

COUNT = "SELECT COUNT(*) FROM clinic WHERE age > 41"


@pytest.fixture
def node(world, make_rule):
    node = world.nodes["a"]
    node.policy = Policy((make_rule(approval="manual", questions=5),))
    return node


def decide(node, job, event):
    inbox = node.inbox()
    try:
        return inbox.decide(job.id, event)
    finally:
        inbox.close()


def test_a_question_waits_for_approval_and_is_then_answered(world, node):
    job = world.job(COUNT)
    assert job.offer(node) == job.offer(node) == []
    assert node.runner.decided() == []
    decide(node, job, Event.APPROVAL)
    [answer] = node.runner.look()
    assert isinstance(answer, Consent)
    assert node.runner.decided() == []
    assert job.offer(node) == [answer]
    consents = [answer.token, *job.consent(job.nodes[1:])]
    seals = job.seal(consents)
    assert job.unseal(consents, seals, job.release(seals)).words


def test_waiting_and_approval_outlive_restarts(world, node):
    job = world.job(COUNT)
    job.offer(node)
    node.start()
    assert job.offer(node) == []
    decide(node, job, Event.APPROVAL)
    node.start()
    assert isinstance(job.offer(node)[0], Consent)


def test_a_denied_question_is_refused_for_good(world, node):
    job = world.job(COUNT)
    job.offer(node)
    decide(node, job, Event.DENIAL)
    refusal = world.refusal(node.runner.decided())
    assert (refusal.kind, refusal.code) == ("ConsentWithheld", "approval_denied")
    assert node.runner.decided() == []
    node.start()
    assert world.refusal(job.offer(node)) == refusal
    with pytest.raises(InvalidInput) as caught:
        decide(node, job, Event.APPROVAL)
    assert caught.value.code == "not_pending"


def test_an_attempt_cannot_be_opened_past_the_officer(world, node):
    job = world.job(COUNT)
    others = job.consent(job.nodes[1:])
    assert job.open(node, others) == []
    assert node.journal.sealed(job.id, 1, 1) is None


def test_a_question_whose_deadline_has_passed_cannot_be_approved(world, node):
    job = world.job(COUNT)
    job.offer(node)
    world.clock.now += 61
    with pytest.raises(InvalidInput, match="deadline"):
        decide(node, job, Event.APPROVAL)
    assert world.refusal(job.offer(node)).code == "deadline_passed"


def test_an_approval_that_comes_too_late_at_the_node_is_a_refusal(world, node):
    job = world.job(COUNT)
    job.offer(node)
    decide(node, job, Event.APPROVAL)
    world.clock.now += 61
    assert world.refusal(node.runner.decided()).code == "deadline_passed"
    assert node.runner.decided() == []


def test_a_closed_job_does_not_wait_any_more(world, node):
    job = world.job(COUNT)
    job.offer(node)
    node.runner.handle(Closed(job.id))
    inbox = node.inbox()
    assert list(inbox.pending()) == []
    inbox.close()


def test_policy_is_asked_before_the_officer(world, node):
    job = world.job(COUNT, words=9)
    assert world.refusal(job.offer(node)).code == "layout_differs"
    inbox = node.inbox()
    assert list(inbox.pending()) == []
    inbox.close()


@pytest.fixture
def home(world, node):
    """The node's folder as a daemon would have it, so that the officer's functions find the journal."""
    (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    return node.home


@pytest.fixture
def real_time(world, monkeypatch):
    monkeypatch.setattr(officers.time, "time", world.clock)


def test_the_officer_sees_question_history_and_cohort_and_no_count(world, node, home, real_time):
    first = world.job("SELECT sex, COUNT(*) FROM clinic GROUP BY sex", by="two")
    first.offer(node)
    assert [one.job_id for one in approvals.pending(home)] == [first.id]
    approvals.approve(home, first.id[:10])
    consents = [node.runner.decided()[0].token, *first.consent(first.nodes[1:])]
    first.release(first.seal(consents))
    node.runner.handle(Closed(first.id))
    job = world.job(COUNT)
    job.offer(node)
    shown = approvals.show(home, job.id[:12])
    assert shown.question.job_id == job.id
    assert "age" in shown.question.in_words
    assert [one.job_id for one in shown.earlier] == [first.id]
    assert shown.earlier[0].state == "released"
    assert shown.cohort.rule == "fixed"
    assert shown.cohort.names == (tuple(sorted(one.name for one in world.nodes.values())),)
    rows = [len(one.csv.read_text().splitlines()) - 1 for one in world.nodes.values()]
    assert not any(f" {count} " in f" {shown.question.in_words} " for count in [*rows, sum(rows)])
    approvals.deny(home, job.id)
    assert approvals.pending(home) == ()
    assert approvals.deny(home, job.id).state == "denied"


def test_what_the_officer_names_must_be_one_job(world, home, node, real_time):
    node.start()
    for name in ("abc", "", "xyz", "%"):
        with pytest.raises(NotFound) as caught:
            approvals.show(home, name)
        assert caught.value.code == "unknown_job"
    jobs = [world.job(COUNT, by=by) for by in ("one", "two", "three")]
    for job in jobs:
        job.offer(node)
    with pytest.raises(NotFound):
        approvals.approve(home, "0" * 64)


def test_a_beginning_that_two_jobs_have_is_no_name_of_either(world, home, node, real_time):
    asked = {"analyst": "a", "organisation": "o", "dataset": "clinic", "asset": "clinic", "question": COUNT}
    for job_id in ("ab12" + "0" * 60, "ab12" + "1" * 60):
        node.journal.count_try(NewJob(job_id=job_id, deadline=world.clock() + 60, **asked))
    for decide in (approvals.show, approvals.approve, approvals.deny):
        with pytest.raises(InvalidInput) as caught:
            decide(home, "ab12")
        assert caught.value.code == "ambiguous_job"
        assert "more digits" in caught.value.remedy
    assert approvals.show(home, "ab120").question.job_id == "ab12" + "0" * 60


def test_without_a_journal_there_is_nothing_to_approve(tmp_path):
    (tmp_path / "node.toml").write_text('broker = "127.0.0.1:1"\n')
    with pytest.raises(NotFound) as caught:
        approvals.pending(tmp_path)
    assert caught.value.code == "no_journal"
    assert not (tmp_path / "state").exists()
