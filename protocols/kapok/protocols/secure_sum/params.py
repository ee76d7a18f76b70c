"""Public facts of the masked sum that every role agrees on before a byte is hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

__all__ = [
    "MOST_MEMBERS",
    "SUITE",
    "TAG_EXTRA_BITS",
    "Party",
    "RosterRules",
    "Seal",
    "Signed",
    "Signer",
    "SumTerms",
    "Verifier",
]

SUITE: Final = "kapok-sum-1"
MOST_MEMBERS: Final = 256
LEAST_PARTIES_FLOOR: Final = 3
TAG_EXTRA_BITS: Final = 64


class Seal(StrEnum):
    """How masked words travel: under Paillier as a second, independent lock, or as they are."""

    PAILLIER = "paillier"
    PAD = "pad"


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """A member's name and its organisation, both as text; rosters are sorted by the UTF-8 bytes of the name."""

    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed statement whose signature, certificate chain and `typ` have been verified.

    Attributes:
        payload: The decoded bytes that were signed.
        signer: Who signed.
        fingerprint: SHA-256 of the signer's certificate (DER), 32 bytes.
    """

    payload: bytes
    signer: Party
    fingerprint: bytes


class Signer(Protocol):
    """This party's signing key. Implemented by `kapok.documents.envelope`."""

    def sign(self, typ: str, payload: bytes) -> str:
        """Return the signed statement as text."""
        ...


class Verifier(Protocol):
    """Verifies signed statements against the trusted root. Implemented by `kapok.documents.envelope`."""

    def verify(self, typ: str, token: str) -> Signed:
        """Return what was signed.

        Raises:
            IdentityInvalid: signature, chain, dates or `typ` are wrong.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SumTerms:
    """What a job specification fixes about its sums.

    Attributes:
        job_id: 32 bytes.
        members: Everyone whom the specification names.
        at_least: Least number of organisations that a roster must have.
        receiver_organisation: The analyst's: it does not count towards a node's least parties.
        seal: How words travel.
        words: Data words of a contribution.
        word_bits: Width b of a data word, a multiple of 8.
        result_key: Encoded Paillier public key (see `kapok.protocols.paillier.public`), or None with seal ``pad``.
        receiver_key: Public HPKE key R.
        rounds: Largest number of rounds; round numbers begin with 1.
    """

    job_id: bytes
    members: frozenset[Party]
    at_least: int
    receiver_organisation: str
    seal: Seal
    words: int
    word_bits: int
    result_key: tuple[bytes, bytes] | None
    receiver_key: bytes
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRules:
    """What one holder's policy asks of a roster.

    Attributes:
        min_parties: Least number of organisations without the receiver's own; never below 3.
        accepts: Whether a member's name is acceptable.
        required: Names that must be in it, each with the SHA-256 of its certificate's public key, or None for any.
    """

    min_parties: int
    accepts: Callable[[str], bool] = field(default=lambda _name: True)
    required: Mapping[str, bytes | None] = field(default_factory=dict)
