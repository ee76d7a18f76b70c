"""Opinions say what the answer to an offer says, and nothing comes of them."""

import msgspec
import pytest
from support.refusal_cases import BY_POLICY, BY_SPECIFICATION, COUNT

from kapok.documents.envelope import JwsSigner, decode
from kapok.documents.statements import INQUIRY_TYP, OPINION_TYP, OpinionStatement
from kapok.identity.names import Role
from kapok.nodes.policy import Policy
from kapok.nodes.runner import Consent, Opinion
from kapok.wire.messages import Inquiry, Offer

# A signer's name is checked before there is an opinion, a receiver's key only when there is a consent.
CODES = [code for code in (*BY_POLICY, *BY_SPECIFICATION) if code != "bad_wrap_key"]


def inquiry_of(job) -> str:
    """The same specification, signed as an inquiry."""
    return JwsSigner(job.caller).sign(INQUIRY_TYP, msgspec.json.encode(job.spec))


def opinion_on(world, job, letter="a") -> OpinionStatement:
    [answer] = world.nodes[letter].runner.handle(Inquiry(inquiry_of(job)))
    assert isinstance(answer, Opinion)
    assert answer.job_id == job.id
    return decode(OpinionStatement, world.verifier.verify(OPINION_TYP, answer.token).payload)


@pytest.mark.parametrize("code", CODES)
def test_an_opinion_is_the_refusal_that_an_offer_gets_and_comes_before_it(world, make_rule, code):
    changes, asked = BY_POLICY.get(code, ({}, {}))
    job = world.job(**({"sql": COUNT} | asked | BY_SPECIFICATION.get(code, {})))
    node = world.nodes["a"]
    node.judge_by(Policy((make_rule(**changes),)))
    opinion = opinion_on(world, job)
    assert (opinion.inquiry, opinion.approval) == (job.id, None)
    assert node.journal.job(job.id) is None
    assert opinion.refusal == world.refusal(job.offer(node))


@pytest.mark.parametrize("approval", ["automatic", "manual"])
def test_an_opinion_says_who_would_decide(world, make_rule, approval):
    node = world.nodes["a"]
    node.judge_by(Policy((make_rule(approval=approval),)))
    opinion = opinion_on(world, world.job(COUNT))
    assert (opinion.approval, opinion.refusal) == (approval, None)
    assert node.inbox().pending() == []


def test_opinions_count_for_nothing(world, make_rule):
    node = world.nodes["a"]
    node.policy = Policy((make_rule(questions=1),))
    node.start()
    for _ in range(3):
        assert opinion_on(world, world.job(COUNT)).refusal is None
    assert isinstance(world.job(COUNT).offer(node)[0], Consent)
    # What was really asked counts for opinions as it does for questions.
    assert opinion_on(world, world.job(COUNT)).refusal.code == "budget_exhausted"


def test_opinions_know_the_cohort(world):
    world.job(COUNT).run()
    fewer = world.job(COUNT, names="abc")
    assert opinion_on(world, fewer).refusal.code == "cohort_differs"
    assert opinion_on(world, world.job(COUNT)).refusal is None


def test_opinions_are_the_same_with_the_data_gone(world):
    before = opinion_on(world, job := world.job(COUNT))
    world.nodes["a"].csv.unlink()
    assert opinion_on(world, job) == before


def test_an_inquiry_is_no_job_and_a_job_no_inquiry(world):
    job, node = world.job(COUNT), world.nodes["a"]
    assert node.runner.handle(Offer(inquiry_of(job))) == []
    assert node.runner.handle(Inquiry(job.token)) == []
    assert node.journal.job(job.id) is None


@pytest.mark.parametrize("token", ["", "a.b.c", "é.é.é"])
def test_what_is_no_inquiry_gets_no_answer(world, token):
    assert world.nodes["a"].runner.handle(Inquiry(token)) == []


def test_only_an_analyst_may_inquire_and_in_its_own_name(world):
    for job in (
        world.job(COUNT, organisation="b", role=Role.NODE, by="main"),
        world.job(COUNT, analyst="spiffe://kapok.test/org/insurer/analyst/one"),
    ):
        assert world.nodes["a"].runner.handle(Inquiry(inquiry_of(job))) == []


def test_a_defect_is_told_without_what_it_met(world, monkeypatch):
    def broken(*_given, **_named):
        raise ZeroDivisionError("cell 4711")

    monkeypatch.setattr("kapok.nodes.runner.judging.judge", broken)
    refusal = opinion_on(world, world.job(COUNT)).refusal
    assert (refusal.kind, refusal.code) == ("InternalError", "internal_error")
    assert "4711" not in refusal.message + refusal.remedy + refusal.clause


def test_a_caller_is_given_so_many_opinions_a_minute(world):
    job, another = world.job(COUNT), world.job(COUNT, by="two")
    world.clock.now = world.clock.now // 60 * 60
    for _ in range(30):
        assert opinion_on(world, job).refusal is None
    refusal = opinion_on(world, job).refusal
    assert (refusal.kind, refusal.code) == ("Unavailable", "too_many_inquiries")
    assert opinion_on(world, another).refusal is None
    assert opinion_on(world, job, "b").refusal is None
    # What is really asked has a budget of its own.
    assert isinstance(job.offer(world.nodes["a"])[0], Consent)
    world.clock.now += 59
    assert opinion_on(world, job).refusal.code == "too_many_inquiries"
    world.clock.now += 1
    assert opinion_on(world, world.job(COUNT)).refusal is None
