"""What stands behind the services: one handler per audience, in domain types, without gRPC.

`kapok.wire.server` has authenticated `caller` (mutual TLS, its certificate's name, the role of the service)
before a handler sees a call, and has checked that ids are well-formed. Signed documents are passed on as they
came: verifying them is the handler's task. A handler raises classes of `kapok.errors`; anything else reaches
the caller as `InternalError` with an incident number and nothing more.

A handler may be called again with the same arguments after a lost connection: every verb is idempotent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.messages import (
    Assignment,
    CatalogueEntry,
    CohortEvidence,
    Greeted,
    JobStatus,
    KeptReopening,
)

__all__ = [
    "AnalystHandler",
    "BrokerHandlers",
    "CatalogueHandler",
    "EnrolmentHandler",
    "NodeHandler",
    "OfficerHandler",
]


class CatalogueHandler(Protocol):
    """Datasets, for every enrolled party."""

    async def publish_dataset(self, caller: PartyName, document: str) -> str:
        """Keep a signed dataset document; return the dataset's hash, lower-case hex."""
        ...

    async def publish_revocations(self, caller: PartyName, der: bytes) -> None:
        """Take a list of revoked certificates, from whoever brings it: the root has signed it."""
        ...

    async def greet(self, caller: PartyName, nonce: bytes) -> Greeted:
        """Sign for the caller that it is this service who answers, and hand on who is revoked."""
        ...

    def datasets(self, name: str | None) -> AsyncIterator[CatalogueEntry]:
        """Yield all datasets, or those of that name."""
        ...

    async def dataset(self, dataset_hash: str) -> CatalogueEntry:
        """Return one dataset.

        Raises:
            NotFound: there is none of that hash.
        """
        ...


class AnalystHandler(Protocol):
    """Jobs, for analysts; each sees its own jobs only."""

    async def submit(self, caller: PartyName, specification: str) -> str:
        """Admit a signed job specification; return the job's id, lower-case hex."""
        ...

    def jobs(self, caller: PartyName) -> AsyncIterator[JobStatus]:
        """Yield the caller's jobs, newest first."""
        ...

    async def job(self, caller: PartyName, job_id: str) -> JobStatus:
        """Return where one job is."""
        ...

    def watch(self, caller: PartyName, job_id: str) -> AsyncIterator[JobStatus]:
        """Yield the status now and after each change, until the job has ended.

        Closed (`aclose`) when the caller leaves.
        """
        ...

    async def cancel(self, caller: PartyName, job_id: str) -> None:
        """End a job that has not ended."""
        ...

    def fetch(self, caller: PartyName, job_id: str) -> AsyncIterator[Evidence | bytes]:
        """Yield the evidence, then the sealed sum in chunks of at most `messages.MOST_CHUNK_BYTES`."""
        ...

    async def steer(
        self, caller: PartyName, job_id: str, statement: str, chunks: AsyncIterator[bytes]
    ) -> None:
        """Take the next round's parameters: the round begins, and the sum of the one before is forgotten.

        Need not read `chunks` to the end.
        """
        ...

    async def acknowledge(self, caller: PartyName, job_id: str) -> None:
        """Note that the analyst has opened the sum and wants no other: it may be forgotten."""
        ...

    def explain(self, caller: PartyName, inquiry: str) -> AsyncIterator[str]:
        """Put a signed inquiry to its connected members; yield each one's signed opinion as it comes."""
        ...


class NodeHandler(Protocol):
    """Assignments and what nodes answer to them."""

    async def join(self, caller: PartyName, membership: str) -> None:
        """Keep a node's signed membership in a dataset."""
        ...

    def watch(self, caller: PartyName) -> AsyncIterator[Assignment]:
        """Yield what the node is to do, from durable state; `Idle` at once, and then now and again.

        Closed (`aclose`) when the node leaves.
        """
        ...

    async def consent(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a signed consent."""
        ...

    async def refuse(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a signed refusal."""
        ...

    async def seal(self, caller: PartyName, job_id: str, token: str, chunks: AsyncIterator[bytes]) -> None:
        """Take a sealed vector; return once it is stored. Need not read `chunks` to the end."""
        ...

    def parameters(self, caller: PartyName, job_id: str, number: int, attempt: int) -> AsyncIterator[bytes]:
        """Yield the parameters of an open attempt in chunks of at most `messages.MOST_CHUNK_BYTES`."""
        ...

    async def release(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a signed release; return once it is stored."""
        ...

    async def give_opinion(self, caller: PartyName, inquiry_id: str, token: str) -> None:
        """Pass a signed opinion on to whoever asked; it is kept nowhere."""

    async def answer_reopening(self, caller: PartyName, reopening_id: str, token: str) -> None:
        """Take a signed word that a reopening was accepted, or why not."""
        ...


class OfficerHandler(Protocol):
    """Cohorts and how they are reopened, for officers; each sees what concerns its own organisation."""

    async def sign_reopening(self, caller: PartyName, document: bytes) -> str:
        """Keep a proposed reopening, or more signatures of one; return its id, lower-case hex."""
        ...

    async def reopenings(self, caller: PartyName, dataset_hash: str | None) -> Sequence[KeptReopening]:
        """Return the reopenings of a dataset's cohorts, or of all, newest first."""
        ...

    def cohorts(self, caller: PartyName, dataset_hash: str) -> AsyncIterator[CohortEvidence]:
        """Yield one evidence for each set of nodes that something was released for, for each receiver."""
        ...


@dataclass(frozen=True, slots=True)
class BrokerHandlers:
    """What stands behind a broker's four services.

    Attributes:
        catalogue: Answers every enrolled party.
        analysts: Answers analysts.
        nodes: Answers nodes.
        officers: Answers officers.
    """

    catalogue: CatalogueHandler
    analysts: AnalystHandler
    nodes: NodeHandler
    officers: OfficerHandler


class EnrolmentHandler(Protocol):
    """The authority's handler, for those who have no certificate yet."""

    async def enrol(self, secret: bytes, csr_der: bytes) -> bytes:
        """Spend a one-time token; return the certificate for the key in the request.

        Args:
            secret: The token's.
            csr_der: PKCS #10, DER; proves possession of the key.

        Returns:
            The certificate, DER.

        Raises:
            IdentityInvalid: the token is unknown, expired, or spent with another key.
        """
        ...
