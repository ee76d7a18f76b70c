"""Everything that makes a roster a roster, and every way in which one is refused, by name and by code."""

import hashlib
from dataclasses import replace

import pytest
from support.parties import ANALYST_ORGANISATION, again, exchange

from kapok.errors import (
    CohortTooSmall,
    ConsentWithheld,
    IdentityInvalid,
    InvalidInput,
    KapokError,
    PeerProtocolError,
)
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.framing import framed
from kapok.protocols.secure_sum.params import Party, RosterRules
from kapok.protocols.secure_sum.roster import Roster, check_rules, params_hash_of, read_roster

ORG = "spiffe://kapok.test/org/"


@pytest.fixture
def job():
    return exchange()


@pytest.fixture
def roster(job):
    return read_roster(job.terms, job.consents(), job.authority)


def refusal(job, consents, **terms):
    with pytest.raises(KapokError) as error:
        read_roster(replace(job.terms, **terms), consents, job.authority)
    return error.value


def test_order_of_consents_does_not_matter(job, roster):
    assert read_roster(job.terms, job.consents()[::-1], job.authority) == roster
    assert roster.names == tuple(sorted(job.names))


def test_hash_is_what_the_protocol_page_says(job, roster):
    fields = [b"kapok-sum-1/roster", job.terms.job_id]
    for member in roster.members:
        fields += [member.name, member.mask_key, member.wrap_key, member.fingerprint]
    assert roster.hash == hashlib.sha256(framed(*fields)).digest()


@pytest.mark.parametrize("field", ["mask_key", "wrap_key", "fingerprint"])
def test_hash_covers_every_members_keys_and_certificate(roster, field):
    changed = replace(roster.members[1], **{field: hashlib.sha256(field.encode()).digest()})
    assert Roster(roster.job_id, (roster.members[0], changed, *roster.members[2:])).hash != roster.hash


def test_hash_covers_the_job(roster):
    assert Roster(bytes(32), roster.members).hash != roster.hash


def test_wrong_signature(job):
    token = job.consents()[0]
    assert isinstance(refusal(job, [*job.consents()[1:], token[:-8] + "AAAAAAAA"]), IdentityInvalid)


def test_consent_to_another_job(job):
    other = again(job)
    error = refusal(job, [*job.consents()[:3], other.consents()[3]])
    assert (error.code, error.party) == ("wrong_job", job.names[3])


def test_party_that_the_specification_does_not_name(job):
    members = frozenset(party for party in job.terms.members if party.name != job.names[0])
    error = refusal(job, job.consents(), members=members, at_least=3)
    assert (error.code, error.party) == ("not_a_member", job.names[0])


def test_party_that_the_specification_names_with_another_organisation(job):
    members = {party for party in job.terms.members if party.name != job.names[0]}
    error = refusal(job, job.consents(), members=frozenset(members | {Party(job.names[0], ORG + "x")}))
    assert error.code == "not_a_member"


def test_name_twice(job):
    error = refusal(job, [*job.consents(), job.holder(job.identities[1]).consent()])
    assert (error.code, error.party) == ("bad_roster", job.names[1])


@pytest.mark.parametrize("key", ["mask_key", "wrap_key"])
def test_key_twice(roster, key):
    copied = replace(roster.members[2], **{key: getattr(roster.members[0], key)})
    with pytest.raises(PeerProtocolError) as error:
        Roster(roster.job_id, (*roster.members[:2], copied, roster.members[3]))
    assert (error.value.code, error.value.party) == ("bad_roster", copied.name)


def test_members_out_of_order(roster):
    with pytest.raises(InvalidInput):
        Roster(roster.job_id, roster.members[::-1])


def test_all_organisations_are_needed_by_default(job):
    error = refusal(job, job.consents([0, 1, 2]))
    assert isinstance(error, CohortTooSmall)
    assert error.code == "organisations_missing"
    assert ORG + "d" in error.message


def test_at_least_three_of_four(job):
    terms = replace(job.terms, at_least=3)
    assert len(read_roster(terms, job.consents([0, 2, 3]), job.authority).members) == 3


@pytest.mark.parametrize("at_least", [3, 4])
def test_an_organisation_takes_part_with_all_its_named_nodes_or_with_none(at_least):
    """Organisation d has two nodes; with one of them left out there would be two sums of one question."""
    job = exchange([(index,) for index in range(5)], organisations=[ORG + one for one in "abcdd"])
    terms = {"at_least": at_least}
    assert len(read_roster(replace(job.terms, **terms), job.consents(), job.authority).members) == 5
    error = refusal(job, job.consents([0, 1, 2, 3]), **terms)
    assert (type(error), error.code, error.party) == (CohortTooSmall, "members_missing", job.names[4])
    if at_least == 3:
        three = job.consents([0, 1, 2])
        assert len(read_roster(replace(job.terms, **terms), three, job.authority).members) == 3


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_members(job, count):
    error = refusal(job, job.consents(range(count)), at_least=1)
    assert (type(error), error.code) == (CohortTooSmall, "too_few_parties")


def test_more_than_256_members(job):
    assert refusal(job, job.consents() * 65).code == "too_many_parties"


def rules_refusal(job, **rules):
    roster = read_roster(job.terms, job.consents(), job.authority)
    with pytest.raises(KapokError) as error:
        check_rules(job.terms, roster, RosterRules(**{"min_parties": 3} | rules))
    return error.value


def test_policy_of_an_honest_roster(job, roster):
    required = {job.names[0]: roster.members[0].key_fingerprint, job.names[1]: None}
    check_rules(job.terms, roster, RosterRules(min_parties=4, required=required))


def test_fewer_organisations_than_the_policy_asks(job):
    error = rules_refusal(job, min_parties=5)
    assert (type(error), error.code, error.clause) == (
        CohortTooSmall,
        "too_few_parties",
        "policy.min_parties",
    )


@pytest.mark.parametrize("organisations", [["a", "b", "b", "b"], ["a", "a", "b", "b"]])
def test_nodes_of_one_organisation_count_once(organisations):
    job = exchange(organisations=[ORG + one for one in organisations])
    assert rules_refusal(job, min_parties=0).code == "too_few_parties"


def test_the_receivers_own_organisation_does_not_count():
    three = exchange(organisations=[ORG + "a", ORG + "b", ORG + "c", ANALYST_ORGANISATION])
    check_rules(
        three.terms, read_roster(three.terms, three.consents(), three.authority), RosterRules(min_parties=3)
    )
    two = exchange(organisations=[ORG + "a", ORG + "b", ORG + "b", ANALYST_ORGANISATION])
    assert rules_refusal(two, min_parties=1).code == "too_few_parties"


def test_a_party_that_the_policy_does_not_accept(job):
    error = rules_refusal(job, accepts=lambda name: name != job.names[2])
    assert (type(error), error.code, error.party) == (ConsentWithheld, "party_not_accepted", job.names[2])


def test_a_party_that_the_policy_requires(job):
    error = rules_refusal(job, required={"somebody": None})
    assert (error.code, error.party) == ("party_required", "somebody")
    error = rules_refusal(job, required={job.names[1]: bytes(32)})
    assert (error.code, error.party) == ("party_required", job.names[1])


@pytest.mark.parametrize("change", [("sum", "q", b"d"), ("query", "r", b"d"), ("query", "q", b"e")])
def test_parameters_hash_covers_every_field(change):
    assert params_hash_of("query", "q", b"d") != params_hash_of(*change)
    assert len(params_hash_of("query", "q", b"d")) == 32


def test_context_has_bounds_and_covers_every_field():
    given = {
        "job_id": bytes(32),
        "round": 1,
        "attempt": 1,
        "roster_hash": bytes(32),
        "params_hash": bytes(32),
    }
    encodings = {Context(**given).encode()}
    for name in ("job_id", "roster_hash", "params_hash"):
        encodings.add(Context(**given | {name: b"x" * 32}).encode())
        with pytest.raises(InvalidInput) as refused:
            Context(**given | {name: bytes(31)})
        assert refused.value.code == "bad_context"
    for name, most in (("round", 1_000_000), ("attempt", 65_535)):
        encodings.add(Context(**given | {name: most}).encode())
        for bad in (0, -1, most + 1):
            with pytest.raises(InvalidInput) as refused:
                Context(**given | {name: bad})
            assert refused.value.code == "bad_context"
    assert len(encodings) == 6
