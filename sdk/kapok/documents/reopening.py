"""A reopening: officers change the cohort of a scope, each with a signature over one payload.

A first release of a table to a receiver's organisation fixes the cohort, see
`kapok.protocols.secure_sum.cohort`. When a holder leaves or comes, or a dishonest party has spoilt the
cohort, only the people who are exposed may change it: an officer (certificate role ``officer``) of *every*
organisation of the old and of the new cohort signs. If one of them cannot, there is no reopening.

    payload      the one JSON form of `Reopening`; its SHA-256 is the reopening's identity
    signatures   detached JWS, typ kapok-reopening+jws, one or more of each organisation

Each node verifies all of it for itself, from the authority's root, and asks its own journal whether the old
cohorts are all that bind it. Whoever carries a reopening can withhold it, and nothing else. A node takes only
a larger serial than that of the last it has accepted: an old reopening does not come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from kapok.documents.envelope import JwsSigner, attached, decode, detached, document_id, encode, is_digest
from kapok.errors import InvalidInput, KapokError, NotAuthorised, PeerProtocolError, TimedOut, is_code
from kapok.identity.names import PartyName, Role
from kapok.protocols.secure_sum.cohort import is_cohort
from kapok.protocols.secure_sum.params import LEAST_PARTIES_FLOOR, Verifier

__all__ = [
    "MOST_LIFETIME_S",
    "MOST_OLD_COHORTS",
    "REOPENING_ANSWER_TYP",
    "REOPENING_TYP",
    "Reopening",
    "ReopeningAnswer",
    "SignedReopening",
    "officer_of",
    "organisation_of",
]

REOPENING_TYP: Final = "kapok-reopening+jws"
REOPENING_ANSWER_TYP: Final = "kapok-reopening-answer+jws"
MOST_LIFETIME_S: Final = 90 * 24 * 3600
"""Longest time within which the signatures must come together and the nodes accept it: 90 days."""
MOST_OLD_COHORTS: Final = 16
_MOST_SIGNATURES: Final = 512
_MOST_SERIAL: Final = 2**31


class Reopening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the officers sign.

    Attributes:
        dataset: Hash of a dataset of the table, lower-case hex: the name for it that all parties share. The
            reopening counts for every dataset that a node has over the same table.
        receiver: The organisation that answers go to, ``spiffe://<trust domain>/org/<organisation>``.
        serial: From 1; larger than that of every reopening of the scope before.
        old: Every cohort that binds a node of the scope now, each sorted by UTF-8 bytes, none twice: one, or
            several where a dishonest party has spoilt it.
        new: The cohort from now on.
        proposer: Name of the officer who wrote it.
        expires: Seconds since the epoch; no node accepts it later. What was accepted stays.

    Raises:
        InvalidInput: ``bad_reopening``, with the field as `clause`.
    """

    dataset: str
    receiver: str
    serial: int
    old: tuple[tuple[str, ...], ...]
    new: tuple[str, ...]
    proposer: str
    expires: int

    def __post_init__(self) -> None:
        if not is_digest(self.dataset):
            raise _bad("dataset", "is not a dataset's hash")
        if not 1 <= self.serial <= _MOST_SERIAL:
            raise _bad("serial", f"is not 1 to {_MOST_SERIAL}")
        if not 0 < self.expires < 2**53:
            raise _bad("expires", "is no time")
        if not 0 < len(self.old) <= MOST_OLD_COHORTS or list(self.old) != sorted(set(self.old)):
            raise _bad("old", f"is not 1 to {MOST_OLD_COHORTS} different cohorts in order")
        if self.old == (self.new,):
            raise _bad("new", "is the old cohort: nothing would change")
        domain = organisation_of(self.receiver).trust_domain
        for field, names in (*(("old", one) for one in self.old), ("new", self.new)):
            _check_nodes(field, names, domain)
        others = {PartyName.parse(name).organisation_id for name in self.new} - {self.receiver}
        if len(others) < LEAST_PARTIES_FLOOR:
            raise _bad(
                "new",
                f"has fewer than {LEAST_PARTIES_FLOOR} organisations besides the receiver: no sum opens",
            )
        proposer = PartyName.parse(self.proposer)
        if proposer.role is not Role.OFFICER or proposer.organisation_id not in self.organisations:
            raise _bad("proposer", "is not an officer of one of the organisations that it concerns")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all nodes of the old and the new cohort, sorted by UTF-8 bytes."""
        return tuple(sorted({*self.new, *(name for names in self.old for name in names)}, key=str.encode))

    @property
    def organisations(self) -> tuple[str, ...]:
        """The organisations whose officers must sign, in full, sorted."""
        return tuple(sorted({PartyName.parse(name).organisation_id for name in self.nodes}))

    def differences(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """For each old cohort: the nodes that leave it, and those that come to it."""
        for names in self.old:
            if names != self.new:
                leave, come = set(names) - set(self.new), set(self.new) - set(names)
                yield tuple(sorted(leave, key=str.encode)), tuple(sorted(come, key=str.encode))


class SignedReopening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reopening as it travels and as it lies in a file: the payload, and the signatures so far.

    Attributes:
        payload: The bytes that each officer signed.
        signatures: Detached JWS (RFC 7515, appendix F), in the order in which they came.
    """

    payload: bytes
    signatures: tuple[str, ...] = ()

    @classmethod
    def of(cls, reopening: Reopening) -> SignedReopening:
        """A reopening that nobody has signed yet."""
        return cls(encode(reopening))

    @classmethod
    def from_json(cls, text: bytes) -> SignedReopening:
        """Read what `to_json` wrote. Nothing is verified yet.

        Raises:
            PeerProtocolError: ``bad_statement``.
        """
        return decode(cls, text)

    def to_json(self) -> bytes:
        """As a file has it."""
        return msgspec.json.format(encode(self), indent=1) + b"\n"

    @property
    def id(self) -> str:
        """The reopening's identity, lower-case hex: whatever signatures have come."""
        return document_id(self.payload)

    def read(self) -> Reopening:
        """What was signed, in the one form that it has.

        Raises:
            PeerProtocolError: ``bad_statement``.
        """
        reopening = decode(Reopening, self.payload)
        if encode(reopening) != self.payload or len(self.signatures) > _MOST_SIGNATURES:
            raise PeerProtocolError(
                "the reopening is not in the one form that such a document has", code="bad_statement"
            )
        return reopening

    def signed_by(self, signer: JwsSigner) -> SignedReopening:
        """The same with one more signature."""
        signature = detached(signer.sign(REOPENING_TYP, self.payload))
        return SignedReopening(self.payload, (*self.signatures, signature))

    def signers(self, verifier: Verifier) -> tuple[dict[str, PartyName], list[KapokError]]:
        """Whose signatures hold.

        Returns:
            Of each organisation an officer who has signed, by the organisation in full; and why other
            signatures count for nothing: they do not hold, or their signer is no officer.
        """
        found: dict[str, PartyName] = {}
        invalid: list[KapokError] = []
        for signature in self.signatures:
            try:
                name = officer_of(self.payload, signature, verifier)
            except KapokError as error:
                invalid.append(error)
            else:
                found.setdefault(name.organisation_id, name)
        return found, invalid

    def check(self, verifier: Verifier, now: float) -> Reopening:
        """What was signed, once an officer of every organisation that it concerns has signed it.

        Raises:
            PeerProtocolError: ``bad_statement``.
            TimedOut: ``reopening_expired``.
            NotAuthorised: ``signature_missing``, naming the organisations.
        """
        reopening = self.read()
        if reopening.expires <= now:
            raise TimedOut(
                "the reopening has expired",
                code="reopening_expired",
                remedy="let an officer propose it anew (`kapok cohort propose`), with a larger serial",
            )
        signed, invalid = self.signers(verifier)
        missing = [one for one in reopening.organisations if one not in signed]
        if missing:
            why = f" ({invalid[0].message})" if invalid else ""
            raise NotAuthorised(
                f"no officer of {', '.join(missing)} has signed the reopening{why}",
                code="signature_missing",
                remedy="an officer of every organisation of the old and the new cohort signs with "
                "`kapok cohort sign`; if one cannot, the cohort stays as it is",
            )
        return reopening


class ReopeningAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A node has accepted a reopening, or says why not. Signed by the node.

    Attributes:
        reopening: Its identity, lower-case hex.
        code: Stable snake_case word of a refusal; empty when it was accepted.
        message: What keeps the node from accepting it, or empty.
        remedy: What would help, or empty.

    Raises:
        InvalidInput: ``bad_refusal`` when `code` is no snake_case word.
    """

    reopening: str
    code: str = ""
    message: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.code and not is_code(self.code):
            raise InvalidInput("the code of a refusal is not a snake_case word", code="bad_refusal")


def officer_of(payload: bytes, signature: str, verifier: Verifier) -> PartyName:
    """The officer whose detached signature stands under a reopening.

    Raises:
        IdentityInvalid: signature, certificate or `typ` are wrong.
        NotAuthorised: ``not_an_officer``.
    """
    signed = verifier.verify(REOPENING_TYP, attached(signature, payload))
    name = PartyName.parse(signed.signer.name)
    if name.role is not Role.OFFICER:
        raise NotAuthorised(
            f"{name} is not an officer, and its signature under a reopening counts for nothing",
            code="not_an_officer",
            party=str(name),
            remedy="sign with a certificate whose role is officer",
        )
    return name


def organisation_of(receiver: str) -> PartyName:
    """Read an organisation in full, as the name of some analyst of it.

    Raises:
        InvalidInput: ``bad_reopening``.
    """
    try:
        name = PartyName.parse(f"{receiver}/{Role.ANALYST}/any")
    except InvalidInput as error:
        raise _bad("receiver", f"is no organisation: {error.message}") from None
    return name


def _check_nodes(field: str, names: tuple[str, ...], domain: str) -> None:
    if not is_cohort(names):
        raise _bad(field, "has a cohort that is not 1 to 256 different names in order")
    for name in map(PartyName.parse, names):
        if name.role is not Role.NODE or name.trust_domain != domain:
            raise _bad(field, f"names {name}, which is not a node of {domain}")


def _bad(field: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"the reopening cannot be used: its field {field} {what}",
        code="bad_reopening",
        clause=f"reopening.{field}",
        remedy="write it anew with `kapok cohort propose`",
    )
