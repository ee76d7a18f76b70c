"""What stands behind the wire's services (`kapok.wire.handlers`): asynchronous faces of the logic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kapok.broker.catalogue import Catalogue
from kapok.broker.computation.assignments import AssignmentKey
from kapok.broker.computation.jobs import Jobs
from kapok.broker.computation.states import ENDED
from kapok.broker.greeter import Greeter
from kapok.broker.inquiries import Inquiries
from kapok.broker.presence import Presence
from kapok.broker.receiving import receive
from kapok.broker.reopenings import Reopenings
from kapok.broker.revoking import Revoking
from kapok.broker.wakeups import Wakeups, woken
from kapok.broker.worker import Batcher, Worker
from kapok.errors import Unavailable
from kapok.identity.names import PartyName
from kapok.identity.revocation import RevocationList, Revocations
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.messages import (
    Assignment,
    CatalogueEntry,
    CohortEvidence,
    Completion,
    Greeted,
    Idle,
    Inquiry,
    JobStatus,
    KeptReopening,
    Offer,
    OpenAttempt,
    RevocationNotice,
)

__all__ = [
    "UPLOADED",
    "BrokerAnalystHandler",
    "BrokerCatalogueHandler",
    "BrokerNodeHandler",
    "BrokerOfficerHandler",
    "Edge",
]

UPLOADED: Final = "uploaded"
"""Who listens to this is woken when a vector has come in whole: there may be something to fold."""

_IDLE_S: Final = 15.0
_SEND_AGAIN_S: Final = 60.0
_STORE_AWAY_S: Final = 10.0
_LOOK_AGAIN_S: Final = 1.0
_PAUSE_OF_EACH_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.2
# What has ended since a node's last look is told; so much longer ago, for clocks of brokers may differ.
_CLOSED_AGAIN_S: Final = 60.0
# An upload is written down in batches of so many chunks, and of fewer while many come in at once: all their
# batches together are at most 32 MiB, or one chunk of each.
_CHUNKS_AT_ONCE: Final = 8
# Of a list so many are read in one step, and not before those before them are on their way: everybody else's
# calls come in between, and a list that its caller does not take is not kept in memory.
_JOBS_AT_ONCE: Final = 16
_CHUNKS_IN_MEMORY: Final = 128

_Owed = tuple[dict[AssignmentKey, Assignment], dict[str, Inquiry], float]
"""What a node owes, the inquiries that wait for it, and since when ends of jobs are to be told next time."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What all handlers stand between: connections that wait, and the thread in which the logic runs.

    Attributes:
        worker: The thread of the logic.
        wakeups: Say when to look again.
        presence: Learns who is connected.
        upload_idle_s: How long an upload may stand still.
    """

    worker: Worker
    wakeups: Wakeups
    presence: Presence
    upload_idle_s: float


class BrokerCatalogueHandler:
    """Datasets, for every enrolled party."""

    def __init__(self, edge: Edge, catalogue: Catalogue, revoking: Revoking, greeter: Greeter) -> None:
        self._worker = edge.worker
        self._catalogue = catalogue
        self._revoking = revoking
        self._greeter = greeter

    async def publish_dataset(self, caller: PartyName, document: str) -> str:
        """Keep a signed dataset document; return the dataset's hash, lower-case hex."""
        return await self._worker.run(self._catalogue.publish, caller, document)

    async def publish_revocations(self, caller: PartyName, der: bytes) -> None:
        """Take a list of revoked certificates, from whoever brings it: the root has signed it."""
        await self._worker.run(self._revoking.publish, caller, der)

    async def greet(self, caller: PartyName, nonce: bytes) -> Greeted:
        """Sign for the caller that it is this broker who answers, and hand on who is revoked."""
        return self._greeter.greet(caller, nonce)

    async def datasets(self, name: str | None) -> AsyncIterator[CatalogueEntry]:
        """Yield all datasets, or those of that name."""
        for dataset_hash in await self._worker.run(self._catalogue.hashes, name):
            yield await self._worker.run(self._catalogue.dataset, dataset_hash)

    async def dataset(self, dataset_hash: str) -> CatalogueEntry:
        """Return one dataset.

        Raises:
            NotFound: ``unknown_dataset``.
        """
        return await self._worker.run(self._catalogue.dataset, dataset_hash)


class BrokerAnalystHandler:
    """Jobs, for analysts."""

    def __init__(self, edge: Edge, jobs: Jobs, inquiries: Inquiries) -> None:
        self._worker = edge.worker
        self._wakeups = edge.wakeups
        self._upload_idle_s = edge.upload_idle_s
        self._jobs = jobs
        self._inquiries = inquiries

    async def submit(self, caller: PartyName, specification: str) -> str:
        """Admit a signed job specification; return the job's id, lower-case hex."""
        return await self._worker.run(self._jobs.submit, caller, specification)

    async def jobs(self, caller: PartyName) -> AsyncIterator[JobStatus]:
        """Yield the caller's jobs, newest first."""
        listed = await self._worker.run(self._jobs.listed, caller)
        for start in range(0, len(listed), _JOBS_AT_ONCE):
            for status in await self._worker.run(self._jobs.jobs, listed[start : start + _JOBS_AT_ONCE]):
                yield status

    async def job(self, caller: PartyName, job_id: str) -> JobStatus:
        """Return where one job is."""
        return await self._worker.run(self._jobs.job, caller, job_id)

    async def watch(self, caller: PartyName, job_id: str) -> AsyncIterator[JobStatus]:
        """Yield the status now and after each change; end when the job has ended."""
        last: JobStatus | None = None
        with self._wakeups.listen(job_id) as wakeup:
            while last is None or last.state not in ENDED:
                wakeup.clear()
                status = await self._worker.run(self._jobs.job, caller, job_id)
                if status != last:
                    yield status
                    last = status
                    # A look reads as much as there are members: with many, not after the answer of each.
                    await asyncio.sleep(min(len(status.waiting_for) * _PAUSE_OF_EACH_S, _LONGEST_PAUSE_S))
                    continue
                await woken(wakeup, _IDLE_S)

    async def cancel(self, caller: PartyName, job_id: str) -> None:
        """End a job that has not ended."""
        await self._worker.run(self._jobs.cancel, caller, job_id)

    async def fetch(self, caller: PartyName, job_id: str) -> AsyncIterator[Evidence | bytes]:
        """Yield the evidence, then the sealed sum chunk by chunk."""
        evidence, chunks = await self._worker.run(self._jobs.evidence, caller, job_id)
        yield evidence
        for number in range(chunks):
            yield await self._worker.run(self._jobs.sum_chunk, caller, job_id, number)

    async def steer(
        self, caller: PartyName, job_id: str, statement: str, chunks: AsyncIterator[bytes]
    ) -> None:
        """Take the next round's parameters: the round begins.

        Raises:
            TimedOut: ``upload_stalled``.
            KapokError: what `kapok.broker.computation.steering` raises; nothing of them is kept then.
        """
        incoming = await self._worker.run(self._jobs.begin_parameters, caller, job_id, statement)
        if incoming is not None:
            await receive(self._worker, incoming, chunks, self._upload_idle_s, lambda: _CHUNKS_AT_ONCE)

    async def acknowledge(self, caller: PartyName, job_id: str) -> None:
        """Note that the analyst has opened the sum: it is deleted."""
        await self._worker.run(self._jobs.acknowledge, caller, job_id)

    def explain(self, caller: PartyName, inquiry: str) -> AsyncIterator[str]:
        """Put a signed inquiry to its connected members; yield each one's signed opinion as it comes."""
        return self._inquiries.explain(caller, inquiry)


class BrokerNodeHandler:
    """Assignments, and what nodes answer to them.

    Args:
        edge: As all handlers.
        catalogue: Takes memberships.
        jobs: Takes what is about jobs.
        reopenings: Takes answers to reopenings.
        inquiries: Opinions that are waited for.
        revocations: The list that every node is shown.
    """

    def __init__(
        self,
        edge: Edge,
        catalogue: Catalogue,
        jobs: Jobs,
        reopenings: Reopenings,
        inquiries: Inquiries,
        revocations: Revocations,
    ) -> None:
        self._worker = edge.worker
        self._wakeups = edge.wakeups
        self._presence = edge.presence
        self._upload_idle_s = edge.upload_idle_s
        self._catalogue = catalogue
        self._jobs = jobs
        self._reopenings = reopenings
        self._inquiries = inquiries
        self._revocations = revocations
        self._looks: Batcher[float | None, _Owed] = Batcher(self._worker, self._owed_by)

    async def join(self, caller: PartyName, membership: str) -> None:
        """Keep a node's signed membership in a dataset."""
        await self._worker.run(self._catalogue.join, caller, membership)

    async def watch(self, caller: PartyName) -> AsyncIterator[Assignment]:
        """Yield everything the node owes, then what is new after each change; `Idle` at once and at times.

        What is still owed after a minute is sent again: the node may have failed at it for a reason that
        passed.
        """
        node = str(caller)
        loop = asyncio.get_running_loop()
        sent: dict[AssignmentKey, float] = {}
        shown: set[str] = set()
        revoked: RevocationList | None = None
        seen: float | None = None
        with self._presence.watch(node), self._wakeups.listen(node) as wakeup:
            yield Idle()
            while True:
                wakeup.clear()
                if (newest := self._revocations.current) is not None and newest is not revoked:
                    revoked = newest
                    yield RevocationNotice(newest.der)
                owed, inquiries, seen = await self._look(node, seen)
                sent = {key: at for key, at in sent.items() if key in owed}
                for key, assignment in owed.items():
                    if key not in sent or self._again(node, key, assignment, loop.time() - sent[key]):
                        sent[key] = loop.time()
                        yield assignment
                shown &= inquiries.keys()
                for inquiry_id in inquiries.keys() - shown:
                    shown.add(inquiry_id)
                    yield inquiries[inquiry_id]
                # Unless it is woken, nothing is looked up until it is time to send something again.
                looked = loop.time()
                while not await woken(wakeup, _IDLE_S):
                    yield Idle()
                    if loop.time() - looked >= _SEND_AGAIN_S:
                        break

    async def _look(self, node: str, seen: float | None) -> _Owed:
        """What a node owes. A store that is away for a moment costs nobody the line, for longer it does.

        Raises:
            Unavailable: ``store_unavailable``: the node tries another broker, which may reach it.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _STORE_AWAY_S
        while True:
            try:
                return await self._looks.of(node, seen)
            except Unavailable:
                if loop.time() >= until:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _owed_by(self, nodes: Mapping[str, float | None]) -> dict[str, _Owed]:
        now = self._jobs.now()
        owed, inquiries = self._jobs.assignments(nodes), self._inquiries.owed(nodes)
        return {node: (owed[node], inquiries[node], now - _CLOSED_AGAIN_S) for node in nodes}

    def _again(self, node: str, key: AssignmentKey, assignment: Assignment, ago_s: float) -> bool:
        if not isinstance(assignment, Offer | OpenAttempt | Completion):
            return False
        return ago_s >= _SEND_AGAIN_S and not self._presence.uploading(node, key[1])

    async def consent(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a signed consent."""
        await self._worker.run(self._jobs.consent, caller, job_id, token)

    async def refuse(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a signed refusal."""
        await self._worker.run(self._jobs.refuse, caller, job_id, token)

    async def seal(self, caller: PartyName, job_id: str, token: str, chunks: AsyncIterator[bytes]) -> None:
        """Take a sealed vector; return once it is stored.

        Raises:
            TimedOut: ``upload_stalled``.
            KapokError: what `kapok.broker.computation.sealing` raises; nothing of the upload is kept then.
        """
        with self._presence.upload(str(caller), job_id):
            upload = await self._worker.run(self._jobs.begin_upload, caller, job_id, token)
            if upload is None:
                return
            self._presence.took(await receive(self._worker, upload, chunks, self._upload_idle_s, self._batch))
        self._wakeups.wake((UPLOADED,))

    def _batch(self) -> int:
        """Chunks that an upload may keep in memory just now."""
        return max(1, min(_CHUNKS_AT_ONCE, _CHUNKS_IN_MEMORY // self._presence.uploads))

    async def parameters(
        self, caller: PartyName, job_id: str, number: int, attempt: int
    ) -> AsyncIterator[bytes]:
        """Yield the parameters of an open attempt chunk by chunk."""
        found = await self._worker.run(self._jobs.parameters, caller, job_id, number, attempt)
        upload, chunks = found
        for place in range(chunks):
            yield await self._worker.run(self._jobs.parameters_chunk, upload, place)

    async def release(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a signed release; return once it is stored."""
        await self._worker.run(self._jobs.release, caller, job_id, token)

    async def give_opinion(self, caller: PartyName, inquiry_id: str, token: str) -> None:
        """Pass a signed opinion on to whoever asked."""
        await self._worker.run(self._inquiries.give, caller, inquiry_id, token)

    async def answer_reopening(self, caller: PartyName, reopening_id: str, token: str) -> None:
        """Take a signed word that a reopening was accepted, or why not."""
        await self._worker.run(self._reopenings.answer, caller, reopening_id, token)


class BrokerOfficerHandler:
    """Cohorts and how they are reopened, for officers."""

    def __init__(self, edge: Edge, reopenings: Reopenings) -> None:
        self._worker = edge.worker
        self._reopenings = reopenings

    async def sign_reopening(self, caller: PartyName, document: bytes) -> str:
        """Keep a proposed reopening, or more signatures of one; return its id, lower-case hex."""
        return await self._worker.run(self._reopenings.sign, caller, document)

    async def reopenings(self, caller: PartyName, dataset_hash: str | None) -> Sequence[KeptReopening]:
        """Return the reopenings that concern the caller's organisation, newest first."""
        return await self._worker.run(self._reopenings.listed, caller, dataset_hash)

    async def cohorts(self, caller: PartyName, dataset_hash: str) -> AsyncIterator[CohortEvidence]:
        """Yield what was signed about each set of nodes that something was released for."""
        for attempt in await self._worker.run(self._reopenings.cohorts, caller, dataset_hash):
            if (evidence := await self._worker.run(self._reopenings.evidence, attempt)) is not None:
                yield evidence
