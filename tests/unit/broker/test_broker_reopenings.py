"""Reopenings at the broker: kept as signed, relayed when all have signed, shown to whom they concern."""

from dataclasses import replace

import msgspec
import pytest
from support.officers import DAY_S, reopening, signed

from kapok.client.cohorts import verified_cohort
from kapok.documents.envelope import JwsSigner
from kapok.documents.reopening import (
    MOST_LIFETIME_S,
    REOPENING_ANSWER_TYP,
    ReopeningAnswer,
    SignedReopening,
)
from kapok.errors import (
    BudgetExhausted,
    IdentityInvalid,
    InvalidInput,
    KapokError,
    NotAuthorised,
    NotFound,
    PeerProtocolError,
)
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.aggregator import open_roster
from kapok.protocols.secure_sum.messages import RELEASE_TYP, ReleaseStatement, read
from kapok.wire.messages import OpenAttempt, ReopenCohort

UNIVERSITY = "spiffe://kapok.test/org/university"


@pytest.fixture
def world(make_world):
    """Hospitals a to d, each with one node called main."""
    made = make_world("a")
    made.nodes.clear()
    for letter in "abcd":
        made.add(letter, "main")
    return made


@pytest.fixture
def write(world):
    def written(old=("abcd",), new="abc", signers=None, **changes) -> SignedReopening:
        given = {"dataset": world.dataset_hash, "now": world.clock()} | changes
        return signed(reopening(old, new, **given), world.domain.credentials, signers)

    return written


def officer(world, letter) -> PartyName:
    return world.domain.credentials(letter, "officer", "chief").name


def node(world, letter):
    return world.nodes[f"spiffe://kapok.test/org/{letter}/node/main"]


def owed(world, letter) -> list[bytes]:
    return [one.document for one in node(world, letter).owed() if isinstance(one, ReopenCohort)]


def answer(world, letter, reopening_id, code="", about=None) -> None:
    statement = ReopeningAnswer(reopening=about or reopening_id, code=code)
    token = node(world, letter).signer.sign(REOPENING_ANSWER_TYP, msgspec.json.encode(statement))
    world.reopenings.answer(node(world, letter).name, reopening_id, token)


def refused(call, *arguments) -> KapokError:
    with pytest.raises(KapokError) as caught:
        call(*arguments)
    return caught.value


def test_signatures_come_one_by_one_and_nodes_hear_of_it_when_all_have_signed(world, write):
    proposed = write(signers="a")
    assert world.reopenings.sign(officer(world, "a"), proposed.to_json()) == proposed.id
    for letter in "bcd":
        assert not any(owed(world, one) for one in "abcd")
        world.restart()
        mine = signed(SignedReopening(proposed.payload), world.domain.credentials, letter)
        assert world.reopenings.sign(officer(world, letter), mine.to_json()) == proposed.id
    for letter in "abcd":
        [document] = owed(world, letter)
        relayed = SignedReopening.from_json(document)
        assert relayed.check(world.verifier, world.clock()) == proposed.read()
    assert world.announced[-1][0] == set(proposed.read().nodes)


def test_it_is_owed_until_the_node_accepts_it_or_it_expires(world, write):
    document = write()
    world.reopenings.sign(officer(world, "a"), document.to_json())
    answer(world, "a", document.id, code="dataset_not_joined")
    assert owed(world, "a")
    answer(world, "a", document.id)
    answer(world, "a", document.id, code="reopening_superseded")
    assert not owed(world, "a")
    assert owed(world, "b")
    [kept] = world.reopenings.listed(officer(world, "d"), None)
    assert len(kept.answers) == 1
    world.clock.now += DAY_S
    assert not owed(world, "b")


def test_several_are_given_in_the_order_of_their_serials(world, write):
    documents = [write(["abc"], "abcd", serial=2), write()]
    for document in documents:
        world.clock.now += 1
        world.reopenings.sign(officer(world, "a"), document.to_json())
    given = [SignedReopening.from_json(one).read().serial for one in owed(world, "b")]
    assert given == [1, 2]


def test_jobs_that_wait_are_offered_again_to_a_node_that_has_accepted(world, write, ada):
    asked = ada.ask(at_least=3)
    node(world, "a").work()
    document = write()
    world.reopenings.sign(officer(world, "a"), document.to_json())
    before = node(world, "a").owed()
    answer(world, "a", document.id)
    assert [one for one in node(world, "a").owed() if one not in before]
    for letter in "bcd":
        answer(world, letter, document.id)
    world.run()
    assert ada.open(asked) == world.truth()


def test_only_those_whom_it_concerns_see_it(world, write):
    world.reopenings.sign(officer(world, "b"), write(signers="ab").to_json())
    for letter, seen in (("d", 1), ("university", 1), ("stranger", 0)):
        assert len(world.reopenings.listed(officer(world, letter), None)) == seen
    assert world.reopenings.listed(officer(world, "a"), "ab" * 32) == []
    assert len(world.reopenings.listed(officer(world, "a"), world.dataset_hash)) == 1


@pytest.mark.parametrize(
    ("code", "kind", "changes"),
    [
        ("proposer_missing", NotAuthorised, {"signers": "b"}),
        ("unknown_dataset", NotFound, {"dataset": "ab" * 32}),
        ("bad_deadline", InvalidInput, {"expires": 1}),
        ("bad_deadline", InvalidInput, {"expires": 2**52}),
        ("not_concerned", NotAuthorised, {"signers": ["a", "stranger"]}),
    ],
)
def test_what_is_not_taken(world, write, code, kind, changes):
    error = refused(world.reopenings.sign, officer(world, "a"), write(**changes).to_json())
    assert (type(error), error.code) == (kind, code)
    assert world.reopenings.listed(officer(world, "a"), None) == []


def test_a_stranger_brings_nothing_and_a_signature_that_does_not_hold_is_not_kept(world, write):
    whole = write()
    error = refused(world.reopenings.sign, officer(world, "stranger"), whole.to_json())
    assert error.code == "not_concerned"
    forged = SignedReopening(whole.payload, (*whole.signatures[:-1], "x..y"))
    assert isinstance(refused(world.reopenings.sign, officer(world, "a"), forged.to_json()), IdentityInvalid)
    analyst = signed(write(signers="a"), world.domain.credentials, "b", role="analyst")
    assert refused(world.reopenings.sign, officer(world, "a"), analyst.to_json()).code == "not_an_officer"
    error = refused(world.reopenings.sign, officer(world, "a"), b"{}")
    assert (type(error), error.code) == (PeerProtocolError, "bad_statement")


def test_an_officer_who_signs_again_replaces_a_signature_that_expires(world, write):
    document = write(signers="ab")
    world.reopenings.sign(officer(world, "a"), document.to_json())
    again = write(signers="b")
    assert again.id == document.id
    world.reopenings.sign(officer(world, "b"), again.to_json())
    [kept] = world.reopenings.listed(officer(world, "a"), None)
    assert set(SignedReopening.from_json(kept.document).signatures) == {
        document.signatures[0],
        again.signatures[0],
    }


def test_what_waits_for_signatures_is_bounded_and_forgotten(world, write):
    for serial in range(1, 65):
        world.reopenings.sign(officer(world, "a"), write(serial=serial, signers="a").to_json())
    error = refused(world.reopenings.sign, officer(world, "a"), write(serial=99, signers="a").to_json())
    assert (type(error), error.code) == (BudgetExhausted, "too_many_reopenings")
    world.clock.now += DAY_S + MOST_LIFETIME_S
    world.reopenings.sign(officer(world, "a"), write(serial=99, signers="a").to_json())
    assert len(world.reopenings.listed(officer(world, "a"), None)) == 1


def test_an_answer_is_the_nodes_own_and_about_this_reopening(world, write):
    document = write(old=["abc"], new="abd", signers="abcd")
    world.reopenings.sign(officer(world, "a"), document.to_json())
    assert refused(answer, world, "a", document.id, "", "ab" * 32).code == "wrong_reopening"
    assert refused(answer, world, "a", "ab" * 32).code == "unknown_reopening"
    stranger = world.add("e", "main")
    statement = msgspec.json.encode(ReopeningAnswer(reopening=document.id))
    token = stranger.signer.sign(REOPENING_ANSWER_TYP, statement)
    assert refused(world.reopenings.answer, stranger.name, document.id, token).code == "unknown_reopening"
    assert (
        refused(world.reopenings.answer, node(world, "a").name, document.id, token).code == "not_the_signer"
    )


def released_by(world, evidence) -> tuple[set[str], set[str]]:
    """Whom the roster names, and who has signed a release of it: all from signatures."""
    from kapok.documents.envelope import decode, document_id
    from kapok.documents.statements import JOB_TYP, JobSpec

    specification = world.verifier.verify(JOB_TYP, evidence.specification)
    spec = decode(JobSpec, specification.payload)
    terms = spec.terms(document_id(specification.payload), PartyName.parse(specification.signer.name))
    roster = open_roster(terms, evidence.consents, world.verifier)
    found = set()
    for token in evidence.releases:
        statement, _ = read(ReleaseStatement, RELEASE_TYP, token, world.verifier)
        assert statement.roster == roster.hash
        found.add(statement.name.split("/")[4])
    return {name.split("/")[4] for name in roster.names}, found


def shown_to(world, letter):
    """What the officer of an organisation is shown of the dataset's cohorts."""
    found = world.reopenings.cohorts(officer(world, letter), world.dataset_hash)
    return [world.reopenings.evidence(attempt) for attempt in found]


def test_cohorts_are_shown_by_what_nodes_signed(world, ada, another):
    for _ in range(2):
        ada.ask()
        world.run()
    assert [released_by(world, one) for one in shown_to(world, "d")] == [({*"abcd"}, {*"abcd"})]
    bob = another("institute", "bob", world)
    bob.ask(members=tuple(name for name in world.nodes if "/org/d/" not in name))
    world.run()
    for letter, expected in (
        ("a", [{*"abc"}, {*"abcd"}]),
        ("d", [{*"abcd"}]),
        ("institute", [{*"abc"}]),
        ("stranger", []),
    ):
        shown = shown_to(world, letter)
        assert [released_by(world, one)[0] for one in shown] == expected
    assert world.reopenings.cohorts(officer(world, "a"), "ab" * 32) == []


def test_a_spoilt_cohort_shows_who_is_bound_to_which(world, ada):
    ada.ask(at_least=3)
    for letter in "abcd":
        node(world, letter).work()
    for letter in "abcd":
        node(world, letter).work(OpenAttempt)
    node(world, "a").work()
    [evidence] = shown_to(world, "a")
    assert released_by(world, evidence) == ({*"abcd"}, {"a"})


def test_two_signers_of_one_organisation_do_not_make_up_for_another(world, write):
    document = write(signers="abc")
    second = JwsSigner(world.domain.credentials("a", "officer", "deputy"))
    document = document.signed_by(second)
    world.reopenings.sign(officer(world, "a"), document.to_json())
    assert not any(owed(world, letter) for letter in "abcd")


def test_an_officer_believes_only_evidence_that_holds_together(world, ada):
    """The broker mixes statements of two jobs, or of another dataset, or leaves the releases out."""
    evidences = []
    for _ in range(2):
        ada.ask()
        world.run()
        evidences += shown_to(world, "a")
    one, other = evidences
    cohort = verified_cohort(one, world.dataset_hash, world.verifier)
    assert (cohort.receiver, cohort.names, cohort.bound) == (UNIVERSITY, tuple(world.nodes), cohort.names)
    for broken, dataset in (
        (replace(one, releases=other.releases), world.dataset_hash),
        (replace(one, releases=()), world.dataset_hash),
        (one, "ab" * 32),
    ):
        assert refused(verified_cohort, broken, dataset, world.verifier).code == "wrong_evidence"
