"""Rosters: who takes part in an attempt, with which keys, agreed bit for bit or of no use.

A roster is made from one signed consent for each member, and from nothing else: the broker only says *which*
consents. Every role makes it by itself (`read_roster`), so that each checks every signature, and a holder
checks it against its own policy as well (`check_rules`). Its hash goes into every mask, every seal and every
release: holders that were shown different rosters produce noise.

    roster hash = SHA-256(label, job, then for each member: name, mask key, wrap key, certificate fingerprint)
    context     = (job, round, attempt, roster hash, parameters hash)

every field behind its length. Members are sorted by the UTF-8 bytes of their names; i < j below means this
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kapok.errors import CohortTooSmall, ConsentWithheld, InvalidInput, PeerProtocolError, counted
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.framing import hashed
from kapok.protocols.secure_sum.messages import CONSENT_TYP, ConsentStatement, read
from kapok.protocols.secure_sum.params import (
    LEAST_PARTIES_FLOOR,
    MOST_MEMBERS,
    Party,
    RosterRules,
    Signed,
    SumTerms,
    Verifier,
)

__all__ = ["Context", "Member", "Roster", "check_members", "check_rules", "params_hash_of", "read_roster"]

_ASK_ALL: Final = "ask again when all nodes that the specification names are running"


def params_hash_of(computation: str, question: str, dataset_hash: bytes) -> bytes:
    """The parameters hash of a one-round job: its canonical question, and the schema that gives it meaning.

    Args:
        computation: Kind of question, e.g. ``query``.
        question: Canonical text.
        dataset_hash: Identity of the dataset's document, 32 bytes.
    """
    return hashed("parameters/one-round", computation, question, dataset_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a roster, as its verified consent shows it.

    Attributes:
        name: The party's name.
        organisation: Its organisation.
        mask_key: X25519 public key for this job, 32 bytes.
        wrap_key: Public HPKE key for this job, 1216 bytes.
        fingerprint: SHA-256 of its certificate.
        key_fingerprint: SHA-256 of its certificate's public key: statements of the same key are its own.
        cohort: What it states about its scope.
        consent: The payload that it signed.
    """

    name: str
    organisation: str
    mask_key: bytes
    wrap_key: bytes
    fingerprint: bytes
    key_fingerprint: bytes
    cohort: CohortStatement
    consent: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Roster:
    """The fixed members of an attempt, sorted; cannot be made with a name or key twice.

    Attributes:
        job_id: 32 bytes.
        members: Sorted by the UTF-8 bytes of their names.
        hash: 32 bytes.

    Raises:
        PeerProtocolError: ``bad_roster`` naming who occurs twice or has a key that another has too.
        CohortTooSmall: ``too_few_parties`` or ``too_many_parties``: members, not organisations.
        InvalidInput: ``bad_roster`` when the members are not sorted.
    """

    job_id: bytes
    members: tuple[Member, ...]
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        if not LEAST_PARTIES_FLOOR <= len(self.members) <= MOST_MEMBERS:
            raise CohortTooSmall(
                f"a roster has {LEAST_PARTIES_FLOOR} to {MOST_MEMBERS} members, this one {len(self.members)}",
                code="too_few_parties" if len(self.members) < LEAST_PARTIES_FLOOR else "too_many_parties",
                remedy=_ASK_ALL,
            )
        if list(self.members) != sorted(self.members, key=lambda member: member.name.encode()):
            raise InvalidInput("the members of a roster are sorted by name", code="bad_roster")
        _check_distinct(self.members)
        fields: list[bytes | str] = [self.job_id]
        for member in self.members:
            fields += [member.name, member.mask_key, member.wrap_key, member.fingerprint]
        object.__setattr__(self, "hash", hashed("roster", *fields))

    @property
    def names(self) -> tuple[str, ...]:
        """All members' names, in order."""
        return tuple(member.name for member in self.members)

    def member(self, name: str) -> Member | None:
        """The member of that name, or None."""
        return next((member for member in self.members if member.name == name), None)

    def signer(self, signed: Signed) -> Member:
        """The member who signed a statement.

        Raises:
            PeerProtocolError: ``not_in_roster`` when the signer is no member, or signed with another key than
                the one whose certificate is in the roster.
        """
        member = self.member(signed.signer.name)
        if member is None or member.key_fingerprint != signed.key_fingerprint:
            raise PeerProtocolError(
                f"{signed.signer.name} signed for an attempt without being in its roster with that key",
                code="not_in_roster",
                party=signed.signer.name,
            )
        return member


def read_roster(terms: SumTerms, consents: Sequence[str], verifier: Verifier) -> Roster:
    """Make a roster from its members' signed consents, in any order: everything that every role must check.

    Raises:
        IdentityInvalid: a consent's signature, certificate or `typ` is wrong.
        PeerProtocolError: ``bad_statement``, ``bad_roster``, ``wrong_job`` or ``not_a_member``, naming the
            party.
        CohortTooSmall: ``too_few_parties``, ``too_many_parties``, ``organisations_missing`` or
            ``members_missing``.
    """
    if len(consents) > MOST_MEMBERS:
        raise CohortTooSmall(f"a roster has at most {MOST_MEMBERS} members", code="too_many_parties")
    members = [_member(terms, token, verifier) for token in consents]
    roster = Roster(terms.job_id, tuple(sorted(members, key=lambda member: member.name.encode())))
    _check_organisations(terms, roster)
    return roster


def check_rules(terms: SumTerms, roster: Roster, rules: RosterRules) -> None:
    """Decide whether one holder's policy goes along with a roster: names and keys count, never data.

    Raises:
        CohortTooSmall: ``too_few_parties``: fewer organisations than the policy's least, the receiver's own
            left out (the receiver knows its own contribution).
        ConsentWithheld: ``party_not_accepted`` or ``party_required``, naming the party.
    """
    members = [(member.name, member.organisation, member.key_fingerprint) for member in roster.members]
    check_members(terms.receiver_organisation, members, rules)


def check_members(
    receiver_organisation: str, members: Sequence[tuple[str, str, bytes]], rules: RosterRules
) -> None:
    """Decide as `check_rules`, from what a journal keeps of a roster.

    Args:
        receiver_organisation: The analyst's.
        members: Each member's name, organisation and SHA-256 of its certificate's public key.
        rules: Of the policy in force now.

    Raises:
        CohortTooSmall: as `check_rules`.
        ConsentWithheld: as `check_rules`.
    """
    keys = {name: key_fingerprint for name, _, key_fingerprint in members}
    organisations = {organisation for _, organisation, _ in members} - {receiver_organisation}
    least = max(rules.min_parties, LEAST_PARTIES_FLOOR)
    if len(organisations) < least:
        raise CohortTooSmall(
            f"the roster has {counted(len(organisations), 'organisation')} besides the receiver's own, "
            f"this node asks for {least}",
            code="too_few_parties",
            clause="policy.min_parties",
            remedy="ask a dataset that more organisations have joined, or ask when more are running",
        )
    for name in keys:
        if not rules.accepts(name):
            raise _withheld("party_not_accepted", f"this node's policy does not accept {name}", name)
    for name, key_fingerprint in rules.required.items():
        if name not in keys:
            raise _withheld("party_required", f"this node's policy requires {name} in every roster", name)
        if key_fingerprint is not None and keys[name] != key_fingerprint:
            raise _withheld(
                "party_required", f"{name} takes part with another key than this node requires", name
            )


def _member(terms: SumTerms, token: str, verifier: Verifier) -> Member:
    statement, signed = read(ConsentStatement, CONSENT_TYP, token, verifier)
    party = signed.signer
    if statement.job != terms.job_id:
        raise PeerProtocolError(
            f"{party.name} consented to another job than this one", code="wrong_job", party=party.name
        )
    if Party(party.name, party.organisation) not in terms.members:
        raise PeerProtocolError(
            f"{party.name} is not among the members that the specification names",
            code="not_a_member",
            party=party.name,
        )
    return Member(
        name=party.name,
        organisation=party.organisation,
        mask_key=statement.mask_key,
        wrap_key=statement.wrap_key,
        fingerprint=signed.fingerprint,
        key_fingerprint=signed.key_fingerprint,
        cohort=statement.cohort,
        consent=signed.payload,
    )


def _check_distinct(members: Sequence[Member]) -> None:
    """Refuse a name or a key that occurs twice.

    A node with two names counts twice towards the least number of parties; one that registers an honest
    node's key as its own could make a third node's masks cancel.
    """
    for what in ("name", "mask_key", "wrap_key"):
        seen: set[object] = set()
        for member in members:
            value = getattr(member, what)
            if value in seen:
                raise PeerProtocolError(
                    f"the roster has the {what.replace('_', ' ')} of {member.name} twice",
                    code="bad_roster",
                    party=member.name,
                )
            seen.add(value)


def _check_organisations(terms: SumTerms, roster: Roster) -> None:
    """Enough organisations, and each with all its nodes that the specification names.

    With all organisations the roster is so exactly the named members. Were a second node of an organisation
    left out at will, the broker could choose between two sums, whose difference is that node's contribution.
    """
    present = {member.organisation for member in roster.members}
    if len(present) < terms.at_least:
        missing = sorted(terms.organisations - present)
        raise CohortTooSmall(
            f"the roster has {counted(len(present), 'organisation')}, "
            f"the specification asks for {terms.at_least}; "
            f"missing: {', '.join(missing)}",
            code="organisations_missing",
            clause="specification.at_least",
            remedy=_ASK_ALL,
        )
    wanted = sorted(party.name for party in terms.members if party.organisation in present)
    if missing := [name for name in wanted if roster.member(name) is None]:
        raise CohortTooSmall(
            f"an organisation takes part with all its nodes that the specification names; "
            f"missing: {', '.join(missing)}",
            code="members_missing",
            clause="specification.members",
            party=missing[0],
            remedy=_ASK_ALL,
        )


def _withheld(code: str, message: str, party: str) -> ConsentWithheld:
    return ConsentWithheld(
        message,
        code=code,
        clause="policy.parties",
        party=party,
        remedy="ask without that node, or let the operator of the refusing node change its policy",
    )
