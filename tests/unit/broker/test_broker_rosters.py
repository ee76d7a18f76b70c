"""Properties of the choice of a roster, over everything that members may have answered."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from kapok.broker.computation.admitted import AdmittedJob
from kapok.broker.computation.rosters import Answer, GiveUp, OpenWith, Wait, choose_roster
from kapok.errors import ConsentWithheld
from kapok.protocols.secure_sum.cohort import CohortStatement

OWN = "own"
NODES = [("n1", "a"), ("n2", "b"), ("n3", "c"), ("n4", "d"), ("n5", "a"), ("n6", OWN)]
FIXED = CohortStatement("fixed")
WITH_COHORT = CohortStatement.of("fixed", [("n1", "n2", "n3", "n5")])
FREE = CohortStatement("free")


def job(at_least, nodes=NODES):
    terms = SimpleNamespace(
        at_least=at_least,
        organisations=frozenset(organisation for _, organisation in nodes),
        receiver_organisation=OWN,
    )
    return AdmittedJob("0" * 64, None, None, terms, b"")


def answer(node, organisation, kind):
    match kind:
        case "refused":
            return Answer(node=node, organisation=organisation, refusal=ConsentWithheld("no", party=node))
        case "silent":
            return Answer(node=node, organisation=organisation)
        case "left":
            return Answer(node=node, organisation=organisation, left_behind=True)
        case _:
            return Answer(node=node, organisation=organisation, consent=kind)


kinds = st.sampled_from(["refused", "silent", "left", FIXED, FIXED, FIXED, WITH_COHORT, FREE])
given_answers = st.tuples(*(kinds for _ in NODES)).map(
    lambda chosen: [answer(*node, kind) for node, kind in zip(NODES, chosen, strict=True)]
)


@given(given_answers, st.integers(3, 5), st.booleans())
def test_a_roster_is_of_those_who_consented_and_large_enough(answers, at_least, grace_over):
    asked = job(at_least)
    verdict = choose_roster(asked, answers, grace_over=grace_over)
    if not isinstance(verdict, OpenWith):
        return
    by_name = {one.node: one for one in answers}
    assert list(verdict.names) == sorted(set(verdict.names), key=str.encode)
    assert all(by_name[name].consent is not None for name in verdict.names)
    organisations = {by_name[name].organisation for name in verdict.names}
    assert len(organisations) >= at_least
    assert len(organisations - {OWN}) >= 3
    # An organisation is there with all its nodes, or not at all: a roster with some of them is refused.
    assert set(verdict.names) == {one.node for one in answers if one.organisation in organisations}


@given(given_answers, st.booleans())
def test_a_job_that_needs_everyone_takes_everyone_or_nobody(answers, grace_over):
    verdict = choose_roster(job(5), answers, grace_over=grace_over)
    match verdict:
        case OpenWith(names):
            assert len(names) == len(NODES)
        case GiveUp(error):
            assert error.party in {one.node for one in answers if one.refusal}
        case Wait():
            assert any(one.consent is None for one in answers)
            assert not any(one.refusal for one in answers)


@given(given_answers, st.integers(3, 4))
def test_the_grace_only_ever_turns_waiting_into_opening(answers, at_least):
    before = choose_roster(job(at_least), answers, grace_over=False)
    after = choose_roster(job(at_least), answers, grace_over=True)
    if not isinstance(before, Wait):
        assert type(after) is type(before)
        assert getattr(after, "names", None) == getattr(before, "names", None)
    assert not (isinstance(before, Wait) and isinstance(after, GiveUp))


@given(given_answers, st.integers(3, 4), st.booleans())
def test_a_stated_cohort_is_taken_whole_and_alone(answers, at_least, grace_over):
    stated = [one for one in answers if one.consent == WITH_COHORT]
    verdict = choose_roster(job(at_least), answers, grace_over=grace_over)
    if stated and at_least == 3 and isinstance(verdict, OpenWith):
        assert verdict.names == ("n1", "n2", "n3", "n5")


@given(given_answers, st.integers(3, 4))
def test_nobody_who_can_be_waited_for_means_no_waiting_after_the_grace(answers, at_least):
    settled = [one for one in answers if not one.silent]
    if len(settled) == len(answers) and not any(one.consent == WITH_COHORT for one in answers):
        assert not isinstance(choose_roster(job(at_least), answers, grace_over=True), Wait)
