"""What crosses the wire, as the rest of Kapok sees it: plain frozen types, no protobuf, no gRPC.

`kapok.wire` alone turns them into the generated messages of `kapok.wire.v1` and back. Signed documents stay
the compact JWS text that their signer made; whoever receives one verifies it (`kapok.documents`), never the
wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kapok.errors import KapokError
from kapok.protocols.sizes import MOST_CHUNK_BYTES

__all__ = [
    "MOST_CHUNK_BYTES",
    "MOST_PARAMETERS_BYTES",
    "Assignment",
    "CatalogueEntry",
    "Closed",
    "CohortEvidence",
    "Completion",
    "Greeted",
    "Idle",
    "Inquiry",
    "JobState",
    "JobStatus",
    "KeptReopening",
    "Offer",
    "OpenAttempt",
    "RoundParameters",
    "ReopenCohort",
    "RevocationNotice",
]

MOST_PARAMETERS_BYTES: Final = 1 << 28
"""Longest ciphertext of one round's parameters that a node fetches, in chunks; brokers may take less."""


class JobState(StrEnum):
    """Where a job is. The transitions are in `kapok.broker.computation.states`."""

    GATHERING = "gathering"
    SEALING = "sealing"
    RELEASING = "releasing"
    STEERING = "steering"
    SUMMED = "summed"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A dataset's signed document, the nodes' signed memberships, and who of them is connected."""

    document: str
    memberships: tuple[str, ...]
    connected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Greeted:
    """What a broker says of itself to a caller.

    Attributes:
        greeting: Signed by the broker.
        revocations: The newest list of revoked certificates, a CRL in DER; None while there is none.
    """

    greeting: str
    revocations: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What the broker tells an analyst about a job. Times: seconds since the epoch, the broker's clock.

    Attributes:
        not_connected: Those of `waiting_for` that are not connected just now.
        fewer_after_s: Of a job that settles for fewer organisations: for how many seconds the present step
            waits for everybody before the job goes on without the silent; 0: it does not go on without them.
        cohort_fixed: It would settle for fewer, but earlier answers have fixed the cohort: it waits for
            exactly those nodes.
        attempt: Attempts opened so far in this round.
        round: The round that the job is in, from 1.
        turn_after: Nobody is asked yet: so many jobs of the same analyst have their turn before it. 0: it has
            its turn.
    """

    job_id: str
    state: JobState
    specification: str
    waiting_for: tuple[str, ...]
    roster: tuple[str, ...]
    refusals: tuple[str, ...]
    error: KapokError | None
    submitted_at: float
    changed_at: float
    attempt: int
    bytes_received: int
    not_connected: tuple[str, ...] = ()
    fewer_after_s: float = 0.0
    cohort_fixed: bool = False
    round: int = 1
    turn_after: int = 0


@dataclass(frozen=True, slots=True)
class RoundParameters:
    """One round's parameters for one roster: what the analyst signed of them, and a ciphertext of them.

    The ciphertext travels in chunks of its own: in an assignment it is empty, and the node fetches it.
    """

    statement: str
    ciphertext: bytes = field(default=b"", repr=False)

    def chunks(self) -> Iterator[bytes]:
        """The ciphertext as it travels."""
        for start in range(0, len(self.ciphertext), MOST_CHUNK_BYTES):
            yield self.ciphertext[start : start + MOST_CHUNK_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortEvidence:
    """A roster that something was released for, as analyst and nodes signed it.

    Attributes:
        specification: The job's.
        round: From 1.
        attempt: From 1.
        consents: Of the whole roster.
        releases: Of those nodes that have released.
    """

    specification: str
    round: int
    attempt: int
    consents: tuple[str, ...]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeptReopening:
    """A reopening as the broker keeps it.

    Attributes:
        document: JSON, as `kapok.documents.reopening.SignedReopening` writes it.
        answers: What nodes signed when it was given to them, the latest of each.
        proposed_at: Seconds since the epoch, the broker's clock.
    """

    document: bytes
    answers: tuple[str, ...]
    proposed_at: float


@dataclass(frozen=True, slots=True)
class Offer:
    """Asks a node for its consent to a job."""

    specification: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """Asks a node for its sealed vector, under a fixed roster: one consent for each member.

    Attributes:
        parameters: The analyst's for this round and roster; None where the question itself is all of them.
    """

    specification: str
    round: int
    attempt: int
    consents: tuple[str, ...]
    parameters: RoundParameters | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Asks a node for its release: all members' sealed vectors are in, and that is on record."""

    job_id: str
    round: int
    attempt: int
    seals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """The job has ended: the node forgets its keys for it."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Asks a node how it would judge a specification, signed so that it cannot be submitted. Not durable."""

    token: str


@dataclass(frozen=True, slots=True)
class Idle:
    """The line is alive; nothing to do just now."""


@dataclass(frozen=True, slots=True)
class ReopenCohort:
    """Asks a node to accept a reopening of a cohort that all officers have signed.

    Attributes:
        document: JSON, as `kapok.documents.reopening.SignedReopening` writes it.
    """

    document: bytes


@dataclass(frozen=True, slots=True)
class RevocationNotice:
    """Certificates that are good no longer.

    Attributes:
        der: A CRL, which the node verifies for itself.
    """

    der: bytes


Assignment = Offer | OpenAttempt | Completion | Closed | Inquiry | ReopenCohort | RevocationNotice | Idle
