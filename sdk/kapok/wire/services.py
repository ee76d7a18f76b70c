"""The services: each method reads its message, asks the handler, writes the answer. Nothing else happens.

`Service.methods` is the literal table of what a service answers; `kapok.wire.gate` stands before every
method.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from google.protobuf.descriptor import ServiceDescriptor

from kapok.documents.statements import NONCE_BYTES
from kapok.errors import InvalidInput
from kapok.identity.names import PartyName, Role
from kapok.logs import told
from kapok.wire import codec
from kapok.wire.handlers import (
    AnalystHandler,
    BrokerHandlers,
    CatalogueHandler,
    EnrolmentHandler,
    NodeHandler,
    OfficerHandler,
)
from kapok.wire.v1 import analyst_pb2, catalogue_pb2, enrolment_pb2, node_pb2, officer_pb2

__all__ = [
    "Service",
    "analyst_service",
    "broker_services",
    "catalogue_service",
    "enrolment_service",
    "node_service",
    "officer_service",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Service:
    """What a server offers under one name.

    Attributes:
        descriptor: Names, messages and directions, from `proto/`.
        role: Whom it is for; None for every enrolled party.
        methods: The function of each RPC: ``(caller, request or iterator of requests)``, a coroutine, or an
            asynchronous iterator of answers where the answer is a stream.
        watches: RPCs whose answers have no end of their own: no deadline, ended when the server stops.
        standard: Of gRPC itself: its callers know no wire version of Kapok's, and its watches end themselves
            when the server stops, for they have a last word to say.
    """

    descriptor: ServiceDescriptor
    role: Role | None
    methods: Mapping[str, Callable[..., Any]]
    watches: frozenset[str] = frozenset()
    standard: bool = False

    def __post_init__(self) -> None:
        declared = set(self.descriptor.methods_by_name)
        if declared != set(self.methods) or not self.watches <= declared:
            raise AssertionError(
                f"{self.descriptor.full_name} is not what proto/ declares: {sorted(declared)}"
            )


@contextlib.asynccontextmanager
async def _closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Ends a handler's iterator with the call, so that what it holds open is let go at once."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def catalogue_service(handler: CatalogueHandler) -> Service:
    """Datasets, for every enrolled party."""

    async def publish(
        caller: PartyName, request: catalogue_pb2.PublishDatasetRequest
    ) -> catalogue_pb2.PublishDatasetResponse:
        found = await handler.publish_dataset(caller, request.document)
        return catalogue_pb2.PublishDatasetResponse(dataset_hash=found)

    async def listing(
        _caller: PartyName, request: catalogue_pb2.ListDatasetsRequest
    ) -> AsyncIterator[catalogue_pb2.ListDatasetsResponse]:
        async with _closing(handler.datasets(codec.read_name(request.name) or None)) as entries:
            async for entry in entries:
                yield catalogue_pb2.ListDatasetsResponse(entry=codec.write_entry(entry))

    async def get(
        _caller: PartyName, request: catalogue_pb2.GetDatasetRequest
    ) -> catalogue_pb2.GetDatasetResponse:
        entry = await handler.dataset(codec.read_id("dataset", request.dataset_hash))
        return catalogue_pb2.GetDatasetResponse(entry=codec.write_entry(entry))

    async def revoke(
        caller: PartyName, request: catalogue_pb2.PublishRevocationsRequest
    ) -> catalogue_pb2.PublishRevocationsResponse:
        await handler.publish_revocations(caller, request.list)
        return catalogue_pb2.PublishRevocationsResponse()

    async def greet(caller: PartyName, request: catalogue_pb2.GreetRequest) -> catalogue_pb2.GreetResponse:
        if len(request.nonce) != NONCE_BYTES:
            raise InvalidInput(
                f"a greeting answers {NONCE_BYTES} bytes", code="bad_nonce", remedy="draw so many at random"
            )
        greeted = await handler.greet(caller, request.nonce)
        return catalogue_pb2.GreetResponse(greeting=greeted.greeting, revocations=greeted.revocations or b"")

    methods: dict[str, Callable[..., Any]] = {
        "Greet": greet,
        "PublishRevocations": revoke,
        "PublishDataset": publish,
        "ListDatasets": listing,
        "GetDataset": get,
    }
    return Service(catalogue_pb2.DESCRIPTOR.services_by_name["CatalogueService"], None, methods)


class _AnalystMethods:
    """What an analyst may ask."""

    def __init__(self, handler: AnalystHandler) -> None:
        self._handler = handler

    async def submit(
        self, caller: PartyName, request: analyst_pb2.SubmitJobRequest
    ) -> analyst_pb2.SubmitJobResponse:
        return analyst_pb2.SubmitJobResponse(job_id=await self._handler.submit(caller, request.specification))

    async def jobs(
        self, caller: PartyName, _request: analyst_pb2.ListJobsRequest
    ) -> AsyncIterator[analyst_pb2.ListJobsResponse]:
        async with _closing(self._handler.jobs(caller)) as statuses:
            async for status in statuses:
                yield analyst_pb2.ListJobsResponse(job=codec.write_status(status))

    async def job(self, caller: PartyName, request: analyst_pb2.GetJobRequest) -> analyst_pb2.GetJobResponse:
        status = await self._handler.job(caller, codec.read_id("job", request.job_id))
        return analyst_pb2.GetJobResponse(job=codec.write_status(status))

    async def watch(
        self, caller: PartyName, request: analyst_pb2.WatchJobRequest
    ) -> AsyncIterator[analyst_pb2.WatchJobResponse]:
        begun = False
        async with _closing(self._handler.watch(caller, codec.read_id("job", request.job_id))) as statuses:
            async for status in statuses:
                shown = replace(status, specification="") if begun else status
                yield analyst_pb2.WatchJobResponse(job=codec.write_status(shown))
                begun = True

    async def cancel(
        self, caller: PartyName, request: analyst_pb2.CancelJobRequest
    ) -> analyst_pb2.CancelJobResponse:
        await self._handler.cancel(caller, codec.read_id("job", request.job_id))
        return analyst_pb2.CancelJobResponse()

    async def fetch(
        self, caller: PartyName, request: analyst_pb2.FetchSumRequest
    ) -> AsyncIterator[analyst_pb2.FetchSumResponse]:
        async with _closing(self._handler.fetch(caller, codec.read_id("job", request.job_id))) as parts:
            async for part in parts:
                yield codec.write_sum_part(part)

    async def steer(
        self, caller: PartyName, parts: AsyncIterator[analyst_pb2.SteerJobRequest]
    ) -> analyst_pb2.SteerJobResponse:
        header = _header(await anext(aiter(parts), None))
        job_id = codec.read_id("job", header.job_id)
        told(job=job_id)
        await self._handler.steer(caller, job_id, header.statement, _chunks(parts))
        return analyst_pb2.SteerJobResponse()

    async def acknowledge(
        self, caller: PartyName, request: analyst_pb2.AcknowledgeSumRequest
    ) -> analyst_pb2.AcknowledgeSumResponse:
        await self._handler.acknowledge(caller, codec.read_id("job", request.job_id))
        return analyst_pb2.AcknowledgeSumResponse()

    async def explain(
        self, caller: PartyName, request: analyst_pb2.ExplainRequest
    ) -> AsyncIterator[analyst_pb2.ExplainResponse]:
        async with _closing(self._handler.explain(caller, request.inquiry)) as opinions:
            async for opinion in opinions:
                yield analyst_pb2.ExplainResponse(opinion=opinion)


def analyst_service(handler: AnalystHandler) -> Service:
    """Jobs, for analysts."""
    answer = _AnalystMethods(handler)
    methods: dict[str, Callable[..., Any]] = {
        "SubmitJob": answer.submit,
        "ListJobs": answer.jobs,
        "GetJob": answer.job,
        "WatchJob": answer.watch,
        "CancelJob": answer.cancel,
        "FetchSum": answer.fetch,
        "SteerJob": answer.steer,
        "AcknowledgeSum": answer.acknowledge,
        "Explain": answer.explain,
    }
    descriptor = analyst_pb2.DESCRIPTOR.services_by_name["AnalystService"]
    return Service(descriptor, Role.ANALYST, methods, frozenset({"WatchJob"}))


class _NodeMethods:
    """What a node asks and answers."""

    def __init__(self, handler: NodeHandler) -> None:
        self._handler = handler

    async def join(
        self, caller: PartyName, request: node_pb2.JoinDatasetRequest
    ) -> node_pb2.JoinDatasetResponse:
        await self._handler.join(caller, request.membership)
        return node_pb2.JoinDatasetResponse()

    async def watch(
        self, caller: PartyName, _request: node_pb2.WatchRequest
    ) -> AsyncIterator[node_pb2.WatchResponse]:
        async with _closing(self._handler.watch(caller)) as assignments:
            async for assignment in assignments:
                yield codec.write_assignment(assignment)

    async def consent(self, caller: PartyName, request: node_pb2.ConsentRequest) -> node_pb2.ConsentResponse:
        await self._handler.consent(caller, codec.read_id("job", request.job_id), request.consent)
        return node_pb2.ConsentResponse()

    async def refuse(self, caller: PartyName, request: node_pb2.RefuseRequest) -> node_pb2.RefuseResponse:
        await self._handler.refuse(caller, codec.read_id("job", request.job_id), request.refusal)
        return node_pb2.RefuseResponse()

    async def seal(
        self, caller: PartyName, parts: AsyncIterator[node_pb2.SealRequest]
    ) -> node_pb2.SealResponse:
        header = _header(await anext(aiter(parts), None))
        job_id = codec.read_id("job", header.job_id)
        told(job=job_id)
        await self._handler.seal(caller, job_id, header.seal, _chunks(parts))
        return node_pb2.SealResponse()

    async def parameters(
        self, caller: PartyName, request: node_pb2.FetchParametersRequest
    ) -> AsyncIterator[node_pb2.FetchParametersResponse]:
        job_id = codec.read_id("job", request.job_id)
        asked = self._handler.parameters(caller, job_id, request.round, request.attempt)
        async with _closing(asked) as chunks:
            async for chunk in chunks:
                yield node_pb2.FetchParametersResponse(chunk=codec.check_chunk(chunk))

    async def release(self, caller: PartyName, request: node_pb2.ReleaseRequest) -> node_pb2.ReleaseResponse:
        await self._handler.release(caller, codec.read_id("job", request.job_id), request.release)
        return node_pb2.ReleaseResponse()

    async def give_opinion(
        self, caller: PartyName, request: node_pb2.GiveOpinionRequest
    ) -> node_pb2.GiveOpinionResponse:
        inquiry_id = codec.read_id("inquiry", request.inquiry_id)
        await self._handler.give_opinion(caller, inquiry_id, request.opinion)
        return node_pb2.GiveOpinionResponse()

    async def answer_reopening(
        self, caller: PartyName, request: node_pb2.AnswerReopeningRequest
    ) -> node_pb2.AnswerReopeningResponse:
        reopening_id = codec.read_id("reopening", request.reopening_id)
        await self._handler.answer_reopening(caller, reopening_id, request.answer)
        return node_pb2.AnswerReopeningResponse()


def _header(first: Any) -> Any:
    """What a stream of chunks begins with."""
    if first is None or first.WhichOneof("part") != "header":
        raise InvalidInput(
            "a stream of chunks does not begin with its header",
            code="bad_stream",
            remedy="send the header, then the chunks",
        )
    return first.header


async def _chunks(parts: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for part in parts:
        if part.WhichOneof("part") != "chunk":
            raise InvalidInput(
                "a stream carries something else than chunks after its header",
                code="bad_stream",
                remedy="send the header once, then the chunks",
            )
        yield codec.check_chunk(part.chunk)


def node_service(handler: NodeHandler) -> Service:
    """Assignments, for nodes."""
    answer = _NodeMethods(handler)
    methods: dict[str, Callable[..., Any]] = {
        "JoinDataset": answer.join,
        "Watch": answer.watch,
        "Consent": answer.consent,
        "Refuse": answer.refuse,
        "Seal": answer.seal,
        "Release": answer.release,
        "FetchParameters": answer.parameters,
        "GiveOpinion": answer.give_opinion,
        "AnswerReopening": answer.answer_reopening,
    }
    return Service(
        node_pb2.DESCRIPTOR.services_by_name["NodeService"], Role.NODE, methods, frozenset({"Watch"})
    )


def officer_service(handler: OfficerHandler) -> Service:
    """Cohorts, for officers."""

    async def sign(
        caller: PartyName, request: officer_pb2.SignReopeningRequest
    ) -> officer_pb2.SignReopeningResponse:
        found = await handler.sign_reopening(caller, request.reopening)
        return officer_pb2.SignReopeningResponse(reopening_id=found)

    async def reopenings(
        caller: PartyName, request: officer_pb2.ListReopeningsRequest
    ) -> AsyncIterator[officer_pb2.ListReopeningsResponse]:
        wanted = codec.read_id("dataset", request.dataset_hash) if request.dataset_hash else None
        for kept in await handler.reopenings(caller, wanted):
            yield codec.write_reopening(kept)

    async def cohorts(
        caller: PartyName, request: officer_pb2.ListCohortsRequest
    ) -> AsyncIterator[officer_pb2.ListCohortsResponse]:
        async with _closing(handler.cohorts(caller, codec.read_id("dataset", request.dataset_hash))) as found:
            async for evidence in found:
                yield codec.write_cohort(evidence)

    methods: dict[str, Callable[..., Any]] = {
        "SignReopening": sign,
        "ListReopenings": reopenings,
        "ListCohorts": cohorts,
    }
    return Service(officer_pb2.DESCRIPTOR.services_by_name["OfficerService"], Role.OFFICER, methods)


def broker_services(handlers: BrokerHandlers) -> tuple[Service, ...]:
    """All that a broker answers."""
    return (
        catalogue_service(handlers.catalogue),
        analyst_service(handlers.analysts),
        node_service(handlers.nodes),
        officer_service(handlers.officers),
    )


def enrolment_service(handler: EnrolmentHandler) -> Service:
    """Enrolment, for those who have no certificate: the caller is nobody."""

    async def enrol(_caller: None, request: enrolment_pb2.EnrolRequest) -> enrolment_pb2.EnrolResponse:
        issued = await handler.enrol(request.token_secret, request.certificate_request_der)
        return enrolment_pb2.EnrolResponse(certificate_der=issued)

    descriptor = enrolment_pb2.DESCRIPTOR.services_by_name["EnrolmentService"]
    return Service(descriptor, None, {"Enrol": enrol})
