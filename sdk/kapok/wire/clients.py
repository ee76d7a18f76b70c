"""The handlers as their callers see them: the same verbs without `caller`, over a `Transport`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from dataclasses import replace
from typing import TypeVar

from kapok.errors import KapokError
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire import codec
from kapok.wire.messages import (
    Assignment,
    CatalogueEntry,
    CohortEvidence,
    Greeted,
    JobStatus,
    KeptReopening,
    RoundParameters,
)
from kapok.wire.transport import Transport
from kapok.wire.v1 import analyst_pb2, catalogue_pb2, enrolment_pb2, node_pb2, officer_pb2
from kapok.wire.v1.analyst_pb2_grpc import AnalystServiceStub
from kapok.wire.v1.catalogue_pb2_grpc import CatalogueServiceStub
from kapok.wire.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from kapok.wire.v1.node_pb2_grpc import NodeServiceStub
from kapok.wire.v1.officer_pb2_grpc import OfficerServiceStub
from kapok.wire.version import About

__all__ = [
    "AnalystClient",
    "CatalogueClient",
    "EnrolmentClient",
    "HealthClient",
    "NodeClient",
    "OfficerClient",
]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class CatalogueClient:
    """Datasets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = CatalogueServiceStub(transport.channel)

    async def publish_dataset(self, document: str) -> str:
        """Publish a signed dataset document; return the dataset's hash, lower-case hex."""
        request = catalogue_pb2.PublishDatasetRequest(document=document)
        return (await self._transport.ask(self._stub.PublishDataset, request)).dataset_hash

    async def publish_revocations(self, der: bytes) -> None:
        """Bring a list of revoked certificates, signed by the root, DER."""
        request = catalogue_pb2.PublishRevocationsRequest(list=der)
        await self._transport.ask(self._stub.PublishRevocations, request)

    async def greet(self, nonce: bytes) -> Greeted:
        """Let the broker sign that it is it who answers; see `kapok.wire.greeting`."""
        answer = await self._transport.ask(self._stub.Greet, catalogue_pb2.GreetRequest(nonce=nonce))
        return Greeted(answer.greeting, answer.revocations or None)

    async def datasets(self, name: str | None = None) -> list[CatalogueEntry]:
        """Return all datasets, or those of that name."""
        request = catalogue_pb2.ListDatasetsRequest(name=codec.read_name(name or ""))
        async with contextlib.aclosing(self._transport.read(self._stub.ListDatasets, request)) as answers:
            return [codec.read_entry(answer.entry) async for answer in answers]

    async def dataset(self, dataset_hash: str) -> CatalogueEntry:
        """Return one dataset."""
        request = catalogue_pb2.GetDatasetRequest(dataset_hash=codec.read_id("dataset", dataset_hash))
        return codec.read_entry((await self._transport.ask(self._stub.GetDataset, request)).entry)


class AnalystClient:
    """Jobs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = AnalystServiceStub(transport.channel)

    async def submit(self, specification: str) -> str:
        """Submit a signed job specification; return the job's id, lower-case hex."""
        request = analyst_pb2.SubmitJobRequest(specification=specification)
        return (await self._transport.ask(self._stub.SubmitJob, request)).job_id

    async def jobs(self) -> list[JobStatus]:
        """Return one's own jobs, newest first."""
        request = analyst_pb2.ListJobsRequest()
        async with contextlib.aclosing(self._transport.read(self._stub.ListJobs, request)) as answers:
            return [codec.read_status(answer.job) async for answer in answers]

    async def job(self, job_id: str) -> JobStatus:
        """Return where one job is."""
        request = analyst_pb2.GetJobRequest(job_id=codec.read_id("job", job_id))
        return codec.read_status((await self._transport.ask(self._stub.GetJob, request)).job)

    async def watch(self, job_id: str) -> AsyncGenerator[JobStatus, None]:
        """Yield the status now and after each change, until the job has ended.

        Raises:
            Unavailable: the connection was lost or the broker shuts down: watch again later.
        """
        request = analyst_pb2.WatchJobRequest(job_id=codec.read_id("job", job_id))
        answers, specification = self._transport.read(self._stub.WatchJob, request, endless=True), ""
        async with contextlib.aclosing(answers):
            async for answer in answers:
                status = codec.read_status(answer.job)
                specification = specification or status.specification
                yield replace(status, specification=specification)

    async def cancel(self, job_id: str) -> None:
        """End a job that has not ended."""
        request = analyst_pb2.CancelJobRequest(job_id=codec.read_id("job", job_id))
        await self._transport.ask(self._stub.CancelJob, request)

    async def fetch(self, job_id: str) -> AsyncGenerator[Evidence | bytes, None]:
        """Yield the evidence, then the sealed sum in chunks; how long it may be, the caller knows."""
        request = analyst_pb2.FetchSumRequest(job_id=codec.read_id("job", job_id))
        parts = self._transport.read(self._stub.FetchSum, request, bounded=False)
        async with contextlib.aclosing(parts) as answers:
            async for answer in answers:
                yield codec.read_sum_part(answer)

    async def steer(self, job_id: str, parameters: RoundParameters) -> None:
        """Begin a job's next round with these parameters; the sum of the round before may be forgotten."""
        header = analyst_pb2.SteerHeader(job_id=codec.read_id("job", job_id), statement=parameters.statement)

        async def parts() -> AsyncGenerator[analyst_pb2.SteerJobRequest, None]:
            yield analyst_pb2.SteerJobRequest(header=header)
            for chunk in parameters.chunks():
                yield analyst_pb2.SteerJobRequest(chunk=chunk)

        async with contextlib.aclosing(parts()) as requests:
            await self._transport.send(self._stub.SteerJob, requests)

    async def acknowledge(self, job_id: str) -> None:
        """Say that the sum has been opened and no other is wanted: the broker may forget it."""
        request = analyst_pb2.AcknowledgeSumRequest(job_id=codec.read_id("job", job_id))
        await self._transport.ask(self._stub.AcknowledgeSum, request)

    async def explain(self, inquiry: str) -> AsyncGenerator[str, None]:
        """Yield the signed opinion of each connected member as it comes, for some seconds at most."""
        request = analyst_pb2.ExplainRequest(inquiry=inquiry)
        async with contextlib.aclosing(self._transport.read(self._stub.Explain, request)) as answers:
            async for answer in answers:
                yield answer.opinion


class NodeClient:
    """Assignments and their answers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = NodeServiceStub(transport.channel)

    async def join(self, membership: str) -> None:
        """Join a dataset with a signed membership."""
        await self._transport.ask(self._stub.JoinDataset, node_pb2.JoinDatasetRequest(membership=membership))

    async def watch(self) -> AsyncGenerator[Assignment, None]:
        """Yield what is to be done, for ever; `Idle` at once, and then now and again.

        What cannot be read is left out, and the log says so: a broker of a later release may ask for
        something that this one does not know, and all else goes on.

        Raises:
            Unavailable: the connection was lost or the broker shuts down: watch again later.
        """
        answers = self._transport.read(self._stub.Watch, node_pb2.WatchRequest(), endless=True)
        async with contextlib.aclosing(answers):
            async for answer in answers:
                try:
                    assignment = codec.read_assignment(answer)
                except KapokError as error:
                    _log.warning(
                        "an assignment was left out", extra={"code": error.code, "what": error.message}
                    )
                    continue
                yield assignment

    async def consent(self, job_id: str, token: str) -> None:
        """Give a signed consent."""
        request = node_pb2.ConsentRequest(job_id=codec.read_id("job", job_id), consent=token)
        await self._transport.ask(self._stub.Consent, request)

    async def refuse(self, job_id: str, token: str) -> None:
        """Give a signed refusal."""
        request = node_pb2.RefuseRequest(job_id=codec.read_id("job", job_id), refusal=token)
        await self._transport.ask(self._stub.Refuse, request)

    async def seal(self, job_id: str, token: str, chunks: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        """Send a sealed vector; return once the broker has stored it.

        Raises:
            InvalidInput: ``bad_chunk`` when a chunk is empty or larger than `messages.MOST_CHUNK_BYTES`.
        """
        header = node_pb2.SealHeader(job_id=codec.read_id("job", job_id), seal=token)

        async def parts() -> AsyncGenerator[node_pb2.SealRequest, None]:
            yield node_pb2.SealRequest(header=header)
            async for chunk in _each(chunks):
                yield node_pb2.SealRequest(chunk=codec.check_chunk(chunk))

        async with contextlib.aclosing(parts()) as requests:
            await self._transport.send(self._stub.Seal, requests)

    async def parameters(self, job_id: str, number: int, attempt: int) -> AsyncGenerator[bytes, None]:
        """Yield the parameters of an attempt in chunks.

        Raises:
            NotFound: ``parameters_gone``: the attempt is over.
        """
        request = node_pb2.FetchParametersRequest(
            job_id=codec.read_id("job", job_id), round=number, attempt=attempt
        )
        async with contextlib.aclosing(self._transport.read(self._stub.FetchParameters, request)) as answers:
            async for answer in answers:
                yield answer.chunk

    async def release(self, job_id: str, token: str) -> None:
        """Give a signed release."""
        request = node_pb2.ReleaseRequest(job_id=codec.read_id("job", job_id), release=token)
        await self._transport.ask(self._stub.Release, request)

    async def give_opinion(self, inquiry_id: str, token: str) -> None:
        """Give a signed opinion."""
        request = node_pb2.GiveOpinionRequest(inquiry_id=codec.read_id("inquiry", inquiry_id), opinion=token)
        await self._transport.ask(self._stub.GiveOpinion, request)

    async def answer_reopening(self, reopening_id: str, token: str) -> None:
        """Say, signed, that a reopening was accepted, or why not."""
        request = node_pb2.AnswerReopeningRequest(
            reopening_id=codec.read_id("reopening", reopening_id), answer=token
        )
        await self._transport.ask(self._stub.AnswerReopening, request)


class OfficerClient:
    """Cohorts and how they are reopened."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = OfficerServiceStub(transport.channel)

    async def sign_reopening(self, document: bytes) -> str:
        """Propose a reopening, or add signatures to one; return its id, lower-case hex."""
        request = officer_pb2.SignReopeningRequest(reopening=document)
        return (await self._transport.ask(self._stub.SignReopening, request)).reopening_id

    async def reopenings(self, dataset_hash: str | None = None) -> list[KeptReopening]:
        """Return the reopenings of a dataset's cohorts, or of all, newest first."""
        wanted = "" if dataset_hash is None else codec.read_id("dataset", dataset_hash)
        request = officer_pb2.ListReopeningsRequest(dataset_hash=wanted)
        async with contextlib.aclosing(self._transport.read(self._stub.ListReopenings, request)) as answers:
            return [codec.read_reopening(answer) async for answer in answers]

    async def cohorts(self, dataset_hash: str) -> list[CohortEvidence]:
        """Return one evidence for each set of nodes that something was released for, for each receiver."""
        request = officer_pb2.ListCohortsRequest(dataset_hash=codec.read_id("dataset", dataset_hash))
        async with contextlib.aclosing(self._transport.read(self._stub.ListCohorts, request)) as answers:
            return [codec.read_cohort(answer) async for answer in answers]


class HealthClient:
    """Health of a service of Kapok, broker or authority."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def check(self, service: str = "") -> tuple[bool, About]:
        """Return whether it serves, and what it says of itself.

        Args:
            service: Full name of one of its services; the whole by default.

        Raises:
            NotFound: ``unknown_service``.
        """
        from grpc_health.v1 import health_pb2
        from grpc_health.v1.health_pb2_grpc import HealthStub

        request = health_pb2.HealthCheckRequest(service=service)
        answer, about = await self._transport.ask_about(HealthStub(self._transport.channel).Check, request)
        return answer.status == health_pb2.HealthCheckResponse.SERVING, about


class EnrolmentClient:
    """The authority's handler."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = EnrolmentServiceStub(transport.channel)

    async def enrol(self, secret: bytes, csr_der: bytes) -> bytes:
        """Spend a one-time token; return the certificate for the key in the request, DER."""
        request = enrolment_pb2.EnrolRequest(token_secret=secret, certificate_request_der=csr_der)
        return (await self._transport.ask(self._stub.Enrol, request)).certificate_der


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
