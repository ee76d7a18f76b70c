"""The context of an attempt: everything that must be the same for all who take part in it."""

from __future__ import annotations

from dataclasses import dataclass

from kapok.errors import InvalidInput
from kapok.protocols.secure_sum.framing import HASH_BYTES, framed, label
from kapok.protocols.secure_sum.params import MOST_ATTEMPTS, MOST_ROUNDS

__all__ = ["Context"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an attempt is bound to. Masks, seals and releases of different contexts have nothing in common.

    Attributes:
        job_id: 32 bytes.
        round: From 1.
        attempt: From 1.
        roster_hash: 32 bytes.
        params_hash: 32 bytes.

    Raises:
        InvalidInput: ``bad_context`` when a field is out of its bounds.
    """

    job_id: bytes
    round: int
    attempt: int
    roster_hash: bytes
    params_hash: bytes

    def __post_init__(self) -> None:
        hashes = (self.job_id, self.roster_hash, self.params_hash)
        bounded = 1 <= self.round <= MOST_ROUNDS and 1 <= self.attempt <= MOST_ATTEMPTS
        if not bounded or any(len(digest) != HASH_BYTES for digest in hashes):
            raise InvalidInput("an attempt's round, number or hash is out of bounds", code="bad_context")

    def encode(self) -> bytes:
        """All five fields behind the suite's label and their lengths."""
        return framed(
            label("context"), self.job_id, self.round, self.attempt, self.roster_hash, self.params_hash
        )
