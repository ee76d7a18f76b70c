"""The holder's pause: nothing is consented to, sealed or released while it is on, whatever was under way."""

import logging

import msgspec
import pytest

from kapok.documents.envelope import JwsSigner, decode
from kapok.documents.statements import INQUIRY_TYP, OPINION_TYP, OpinionStatement
from kapok.errors import ConsentWithheld, InvalidInput, NotFound
from kapok.nodes import approvals, officers
from kapok.nodes.journal import Decision
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent, Release
from kapok.nodes.states import NodeJobState
from kapok.wire.messages import Closed, Inquiry

COUNT = "SELECT COUNT(*) FROM clinic"
WHY = "the audit found a hole"


@pytest.fixture
def node(world):
    node = world.nodes["a"]
    (node.home / "node.toml").write_text('broker = "127.0.0.1:1"\nstate = "."\n')
    node.start()
    return node


@pytest.fixture(autouse=True)
def real_time(world, monkeypatch):
    monkeypatch.setattr(officers.time, "time", world.clock)


def refused(world, answers):
    """Check that it is the refusal of a pause, and that the reason is not in it."""
    refusal = world.refusal(answers)
    assert (refusal.kind, refusal.code, refusal.clause) == ("ConsentWithheld", "holder_paused", "node.pause")
    assert WHY not in refusal.message + refusal.remedy
    return refusal


def test_a_new_question_is_refused_for_good_and_spends_nothing(world, node, make_rule):
    node.judge_by(Policy((make_rule(questions=1),)))
    officers.pause(node.home, WHY)
    jobs = [world.job(COUNT) for _ in range(3)]
    for job in jobs:
        refused(world, job.offer(node))
    ended = officers.resume(node.home)
    assert (ended.reason, ended.resumed_at) == (WHY, world.clock())
    refused(world, jobs[0].offer(node))
    assert isinstance(world.job(COUNT).offer(node)[0], Consent)
    assert world.refusal(world.job(COUNT).offer(node)).code == "budget_exhausted"


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_is_refused_at_its_next_step(world, node, restarted):
    offered, consented, sealed = world.job(COUNT), world.job(COUNT), world.job(COUNT)
    consents, seals = consented.consent(), sealed.seal(sealed.consent())
    offered.offer(node)
    officers.pause(node.home, WHY)
    if restarted:
        node.start()
    refusals = [
        refused(world, offered.offer(node)),
        refused(world, consented.open(node, consents)),
        refused(world, sealed.complete(node, seals)),
    ]
    assert node.journal.released(sealed.id, 1) is None
    officers.resume(node.home)
    # An end, not a delay: nobody waits for what was stopped.
    assert refusals == [
        world.refusal(offered.offer(node)),
        world.refusal(consented.offer(node)),
        world.refusal(sealed.complete(node, seals)),
    ]
    assert node.journal.released(sealed.id, 1) is None
    assert all(node.journal.job(job.id).state is NodeJobState.REFUSED for job in (offered, consented, sealed))


def test_what_was_sent_is_not_sent_again_while_paused(world, node):
    job, other = world.job(COUNT), world.job(COUNT)
    consents = job.consent()
    seals = job.seal(consents)
    [release] = job.complete(node, seals)
    assert isinstance(release, Release)
    again = other.consent()
    other.seal(again)
    officers.pause(node.home, WHY)
    refused(world, job.complete(node, seals))
    refused(world, other.open(node, again))
    # What was released stays so: the round's one release, and the cohort that it fixed.
    assert node.journal.released(job.id, 1).token == release.token
    officers.resume(node.home)
    assert job.complete(node, seals) == [release]


def test_a_pause_that_comes_between_the_look_and_the_note_stops_the_note(world, node, make_rule):
    job = world.job(COUNT)
    consents = job.consent()
    seals = job.seal(consents)
    stored, decision = node.journal.sealed(job.id, 1, 1), Decision(make_rule(), 1, 1)
    officers.pause(node.home, WHY)
    for write in (
        lambda: node.journal.consent(job.id, specification="", decision=decision, cohort=None),
        lambda: node.journal.release(stored.record, "token", decision=decision, question=b"q"),
    ):
        with pytest.raises(ConsentWithheld) as caught:
            write()
        assert caught.value.code == "holder_paused"
    other = world.nodes["b"]
    assert other.journal.sealed(job.id, 1, 1)
    assert isinstance(job.complete(other, seals)[0], Release)


def test_a_pending_question_waits_and_cannot_be_approved_before_the_node_is_resumed(world, node, make_rule):
    node.judge_by(Policy((make_rule(approval="manual"),)))
    approved, denied = world.job(COUNT), world.job(COUNT)
    for job in (approved, denied):
        assert job.offer(node) == []
    officers.pause(node.home, WHY)
    assert approved.offer(node) == []
    with pytest.raises(InvalidInput) as caught:
        approvals.approve(node.home, approved.id)
    assert caught.value.code == "node_paused"
    approvals.deny(node.home, denied.id)
    assert world.refusal(node.runner.decided()).code == "approval_denied"
    officers.resume(node.home)
    approvals.approve(node.home, approved.id)
    assert isinstance(node.runner.decided()[0], Consent)


def test_an_approval_that_a_pause_overtakes_is_a_refusal(world, node, make_rule):
    node.judge_by(Policy((make_rule(approval="manual"),)))
    job = world.job(COUNT)
    job.offer(node)
    approvals.approve(node.home, job.id)
    officers.pause(node.home, WHY)
    refused(world, node.runner.decided())


def test_a_closed_job_is_closed_while_paused(world, node):
    job = world.job(COUNT)
    job.seal(job.consent())
    officers.pause(node.home, WHY)
    assert node.runner.handle(Closed(job.id)) == []
    assert node.journal.job(job.id).state is NodeJobState.CLOSED
    assert job.offer(node) == []


def test_pausing_twice_is_one_pause_and_resuming_nothing_is_no_error(world, node):
    first = officers.pause(node.home, WHY)
    world.clock.now += 5
    assert officers.pause(node.home, "another") == first
    assert (first.paused_by, first.resumed_at) == (officers.officer(), None)
    assert officers.resume(node.home).paused_at == first.paused_at
    assert officers.resume(node.home) is None
    assert officers.pause(node.home).paused_at == first.paused_at + 5


def test_the_log_says_once_that_it_is_paused_and_once_that_it_is_resumed(node, caplog):
    caplog.set_level(logging.INFO, logger="kapok.nodes.runner")
    officers.pause(node.home, WHY)
    for _ in range(2):
        node.runner.tell_of_pause()
    officers.resume(node.home)
    for _ in range(2):
        node.runner.tell_of_pause()
    paused, resumed = (one for one in caplog.records if "by the holder" in one.getMessage())
    assert (paused.reason, paused.levelno) == (WHY, logging.WARNING)
    assert "resumed" in resumed.getMessage()


def test_a_pause_that_a_restored_copy_would_forget_is_noticed(world, node):
    node.stop()
    copy = (node.home / "journal.db").read_bytes()
    officers.pause(node.home, WHY)
    for beside in ("journal.db-wal", "journal.db-shm"):
        (node.home / beside).unlink(missing_ok=True)
    (node.home / "journal.db").write_bytes(copy)
    for call in (node.start, lambda: officers.pause(node.home), lambda: officers.resume(node.home)):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.code == "journal_restored"


def test_a_node_that_never_ran_has_nothing_to_pause(tmp_path):
    (tmp_path / "node.toml").write_text('broker = "127.0.0.1:1"\n')
    for call in (officers.pause, officers.resume):
        with pytest.raises(NotFound) as caught:
            call(tmp_path)
        assert caught.value.code == "no_journal"


@pytest.mark.parametrize(
    ("sudo", "named"),
    [(None, "{user}"), ("alice", "alice as {user}"), ("{user}", "{user}"), ("a\x1b\n", "a as {user}")],
)
def test_an_officer_is_whom_the_system_says(monkeypatch, sudo, named):
    monkeypatch.delenv("SUDO_USER", raising=False)
    user = officers.officer()
    assert user
    if sudo is not None:
        monkeypatch.setenv("SUDO_USER", sudo.format(user=user))
    assert officers.officer() == named.format(user=user)


def test_an_inquiry_is_told_of_a_pause_as_a_question_is(world, node):
    job = world.job(COUNT)
    officers.pause(node.home, WHY)
    token = JwsSigner(job.caller).sign(INQUIRY_TYP, msgspec.json.encode(job.spec))
    [answer] = node.runner.handle(Inquiry(token))
    opinion = decode(OpinionStatement, world.verifier.verify(OPINION_TYP, answer.token).payload)
    assert opinion.refusal == refused(world, job.offer(node))
