"""What a holder's journal keeps of an attempt that it has sealed: enough to release it, not to read it.

A record never has b: its own half of the sum's key lies in it only as ρ, which the receiver alone opens.
Still it is a secret until the release is allowed: whoever has all members' records and the receiver's key has
the sum.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kapok.errors import LocalProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.secure_sum.cohort import CohortStatement, PastRelease
from kapok.protocols.secure_sum.context import Context

__all__ = ["RecordedMember", "ReleaseRecord"]


class RecordedMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member of the roster: its name and the fingerprint of its certificate's public key."""

    name: str
    key_fingerprint: bytes


class ReleaseRecord(NeverPickled, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a later release needs, across a restart.

    It is written to the journal before the seal is sent.

    Attributes:
        suite: Name of the protocol suite that made it.
        name: The holder's name.
        job: The job's identity, 32 bytes.
        round: From 1.
        attempt: From 1.
        roster: Roster hash, 32 bytes.
        params: Parameters hash, 32 bytes.
        members: The roster, in its order.
        cohort: What the holder stated about its scope when it consented.
        release: ρ, wrapped to the receiver.
        release_sha256: Digest of ρ.
        vector_sha256: Digest of the sealed vector.
        seal: The signed seal statement, as it was sent.
    """

    suite: Literal["kapok-sum-1"] = "kapok-sum-1"
    name: str
    job: bytes
    round: int
    attempt: int
    roster: bytes
    params: bytes
    members: tuple[RecordedMember, ...]
    cohort: CohortStatement
    release: bytes
    release_sha256: bytes
    vector_sha256: bytes
    seal: str

    def __repr__(self) -> str:
        return f"ReleaseRecord(job={self.job.hex()}, round={self.round}, attempt={self.attempt}, <hidden>)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("job", self.job.hex()), ("round", self.round), ("attempt", self.attempt)]

    @property
    def context(self) -> Context:
        """The attempt's context."""
        return Context(
            job_id=self.job,
            round=self.round,
            attempt=self.attempt,
            roster_hash=self.roster,
            params_hash=self.params,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The roster's names, in its order: the cohort that a release fixes."""
        return tuple(member.name for member in self.members)

    @property
    def as_past(self) -> PastRelease:
        """What the cohort rule needs to know of this release, now or later."""
        return PastRelease(
            job_id=self.job,
            round=self.round,
            attempt=self.attempt,
            roster_hash=self.roster,
            names=self.names,
            params_hash=self.params,
        )

    def to_json(self) -> bytes:
        """The record as JSON, for the journal."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> ReleaseRecord:
        """Read what `to_json` wrote.

        Raises:
            LocalProtocolError: ``bad_release_record`` when it is anything else.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise LocalProtocolError(
                "the journal has a release record that cannot be read", code="bad_release_record"
            ) from None
