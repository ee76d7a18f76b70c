"""What an officer is told of cohorts: what is in force, in words, and whom the broker's evidence is about."""

from types import SimpleNamespace

import pytest
from support.officers import node_names, organisation, reopening

from kapok.client.cohorts import (
    BoundCohort,
    ReopeningView,
    cohorts_in_force,
    in_words,
    next_serial,
)
from kapok.client.officer import Cohorts, OfficerSession
from kapok.documents.reopening import SignedReopening
from kapok.errors import InvalidInput, NotFound
from kapok.identity.names import PartyName

UNIVERSITY = organisation("university")


def bound(letters, receiver="university", under="") -> BoundCohort:
    names = node_names(letters)
    return BoundCohort(receiver=organisation(receiver), names=names, bound=names, reopening=under)


def view(old, new, accepted="", **changes) -> ReopeningView:
    made = reopening(old, new, dataset="ab" * 32, now=1_800_000_000, **changes)
    return ReopeningView(
        document=SignedReopening.of(made),
        reopening=made,
        signed=(),
        missing=(),
        accepted=node_names(accepted),
        refused={},
        proposed_at=1.0,
    )


def test_before_any_reopening_every_cohort_of_the_receiver_is_in_force():
    cohorts = [bound("abcd"), bound("abc"), bound("abd", receiver="institute")]
    proposed = view(["abcd"], "abc")
    assert cohorts_in_force(UNIVERSITY, cohorts, [proposed]) == (node_names("abc"), node_names("abcd"))


def test_since_a_reopening_its_cohort_is_and_the_old_ones_while_a_node_has_not_accepted():
    cohorts = [bound("abcd")]
    done, half = view(["abcd"], "abc", "abcd"), view(["abcd"], "abc", "abc")
    assert cohorts_in_force(UNIVERSITY, cohorts, [done]) == (node_names("abc"),)
    assert cohorts_in_force(UNIVERSITY, cohorts, [half]) == (node_names("abc"), node_names("abcd"))
    since = bound("abe", under=done.document.id)
    assert cohorts_in_force(UNIVERSITY, [*cohorts, since], [done]) == (node_names("abc"), node_names("abe"))


def test_a_serial_is_larger_than_every_one_that_is_known():
    assert next_serial(UNIVERSITY, []) == 1
    known = [view(["abcd"], "abc", serial=3), view(["abcd"], "abc", serial=7, receiver="institute")]
    assert next_serial(UNIVERSITY, known) == 4


def test_the_words_say_whose_contribution_can_be_read():
    told = "\n".join(in_words(view(["abcd"], "abc").reopening, "clinic"))
    assert "the contribution of d/main ALONE" in told
    assert "to the organisation university" in told
    assert "It is number 1 for these answers; no node accepts it after 2027-01-16 08:00 UTC." in told
    assert "Until now such answers are sums over: a/main, b/main, c/main, d/main." in told
    assert "From now on they are sums over: a/main, b/main, c/main." in told
    told = "\n".join(in_words(view(["abcd"], "abef").reopening, "clinic"))
    assert "the sum of c/main, d/main less that of e/main, f/main" in told
    told = "\n".join(in_words(view(["abc"], "abcde").reopening, "clinic"))
    assert "the sum of d/main, e/main alone" in told


@pytest.fixture
def session():
    made = OfficerSession.__new__(OfficerSession)
    made.name = PartyName.parse("spiffe://kapok.test/org/a/officer/chief")
    return made


def shown(*cohorts) -> Cohorts:
    members = tuple(SimpleNamespace(name=PartyName.parse(name)) for name in node_names("abcde"))
    dataset = SimpleNamespace(hash="ab" * 32, members=members, label="clinic@ab")
    return Cohorts(dataset=dataset, cohorts=cohorts, reopenings=(), unverified=())


def test_a_draft_names_nodes_by_organisation_or_by_node(session):
    made = session.draft(
        shown(bound("abcd")), receiver="university", members=["a", "b/main", *node_names("c")]
    )
    assert (made.old, made.new, made.serial) == ((node_names("abcd"),), node_names("abc"), 1)
    made = session.draft(
        shown(bound("abcd")), receiver=UNIVERSITY, members=["a", "b", "e"], old=[["a", "b", "c"]]
    )
    assert made.old == (node_names("abc"), node_names("abcd"))


def test_a_draft_of_nothing_or_with_a_stranger_is_refused(session):
    for members, cohorts, code, kind in (
        (["a", "b", "c"], [], "no_cohort", NotFound),
        (["a", "b", "z"], [bound("abcd")], "unknown_member", NotFound),
        (["a", "b"], [bound("abcd")], "bad_reopening", InvalidInput),
    ):
        with pytest.raises(kind) as caught:
            session.draft(shown(*cohorts), receiver="university", members=members)
        assert caught.value.code == code


async def test_a_beginning_names_one_reopening(session):
    known = [view(["abcd"], "abc"), view(["abcd"], "abc", serial=2)]

    async def reopenings(_dataset):
        return tuple(known)

    session._reopenings = reopenings
    assert await session.find(known[0].document.id[:12]) == known[0]
    with pytest.raises(NotFound) as caught:
        await session.find("")
    assert caught.value.code == "unknown_reopening"
    known.append(known[0])
    with pytest.raises(InvalidInput) as ambiguous:
        await session.find(known[0].document.id[:12])
    assert ambiguous.value.code == "ambiguous_reopening"
