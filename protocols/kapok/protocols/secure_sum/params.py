"""Public facts of the masked sum that every role agrees on before a byte is hidden.

`SumTerms` is what a verified job specification fixes; `Signer` and `Verifier` are what the protocol asks of
the signed documents around it. All three are given to the roles: the protocol knows no certificate and no
file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from kapok.errors import InvalidInput
from kapok.protocols.paillier.public import EncodedKey
from kapok.protocols.sizes import WRAP_KEY_BYTES

__all__ = [
    "LEAST_PARTIES_FLOOR",
    "MOST_ATTEMPTS",
    "MOST_MEMBERS",
    "MOST_ROUNDS",
    "MOST_WORDS",
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
MOST_ROUNDS: Final = 1_000_000
MOST_ATTEMPTS: Final = 65_535
MOST_WORDS: Final = 1 << 28
# The tag word is 64 bits wider, and no word is wider than 256 (`kapok.protocols.words`).
MOST_WORD_BITS: Final = 192
TAG_EXTRA_BITS: Final = 64
_HASH_BYTES: Final = 32


class Seal(StrEnum):
    """How masked words travel: under Paillier as a second, independent lock, or as they are."""

    PAILLIER = "paillier"
    PAD = "pad"


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """A member's name and its organisation, both as text; rosters are sorted by the name's UTF-8 bytes."""

    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed statement whose signature, certificate chain and `typ` have been verified.

    Attributes:
        payload: The decoded bytes that were signed.
        signer: Who signed.
        fingerprint: SHA-256 of the signer's certificate (DER), 32 bytes.
        key_fingerprint: SHA-256 of that certificate's SubjectPublicKeyInfo (DER), 32 bytes: it stays the same
            when the certificate is renewed for the same key.
    """

    payload: bytes
    signer: Party
    fingerprint: bytes
    key_fingerprint: bytes

    def __post_init__(self) -> None:
        if len(self.fingerprint) != _HASH_BYTES or len(self.key_fingerprint) != _HASH_BYTES:
            raise InvalidInput("a fingerprint is 32 bytes", code="bad_fingerprint")


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
        at_least: Least number of organisations that a roster must have, each with all its members.
        receiver_organisation: The analyst's: it does not count towards a node's least parties.
        seal: How words travel.
        words: Data words of a contribution.
        word_bits: Width b of a data word, a multiple of 8.
        result_key: Paillier public key as it travels, or None with seal ``pad``.
        receiver_key: Public HPKE key R.
        rounds: Largest number of rounds; round numbers begin with 1.

    Raises:
        InvalidInput: ``bad_terms`` when a field is out of its bounds or they contradict each other.
    """

    job_id: bytes
    members: frozenset[Party]
    at_least: int
    receiver_organisation: str
    seal: Seal
    words: int
    word_bits: int
    result_key: EncodedKey | None
    receiver_key: bytes
    rounds: int

    def __post_init__(self) -> None:
        names = {party.name for party in self.members}
        checks = (
            (len(self.job_id) == _HASH_BYTES, "the job's identity is 32 bytes"),
            (1 <= len(self.members) <= MOST_MEMBERS, f"1 to {MOST_MEMBERS} members"),
            (len(names) == len(self.members), "no name may occur twice among the members"),
            (1 <= self.at_least <= len(self.organisations), "at_least is 1 to the number of organisations"),
            (1 <= self.words <= MOST_WORDS, f"1 to {MOST_WORDS} words"),
            (
                8 <= self.word_bits <= MOST_WORD_BITS and self.word_bits % 8 == 0,
                f"a word has 8 to {MOST_WORD_BITS} bits, a multiple of 8",
            ),
            (
                (self.result_key is not None) == (self.seal is Seal.PAILLIER),
                "a result key belongs to the paillier seal and to no other",
            ),
            (
                len(self.receiver_key) == WRAP_KEY_BYTES,
                f"the receiver key is {WRAP_KEY_BYTES} bytes",
            ),
            (1 <= self.rounds <= MOST_ROUNDS, f"1 to {MOST_ROUNDS} rounds"),
        )
        for holds, rule in checks:
            if not holds:
                raise InvalidInput(f"the terms of the sum do not hold together: {rule}", code="bad_terms")

    @property
    def organisations(self) -> frozenset[str]:
        """The organisations of all members."""
        return frozenset(party.organisation for party in self.members)

    @property
    def tag_bits(self) -> int:
        """Width of the tag word, b + 64."""
        return self.word_bits + TAG_EXTRA_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRules:
    """What one holder's policy asks of a roster.

    Attributes:
        min_parties: Least number of organisations without the receiver's own; never below 3.
        accepts: Whether a member's name is acceptable.
        required: Names that must be in it, each with the SHA-256 of its certificate's public key, or None for
            any.
    """

    min_parties: int
    accepts: Callable[[str], bool] = field(default=lambda _name: True)
    required: Mapping[str, bytes | None] = field(default_factory=dict)
