"""Spans: one trace for each job, at every party; nothing in them but steps, jobs and codes."""

import asyncio
import logging
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.daemons import logging_restored, network
from support.hospitals import dataset, make_job, make_realm

from kapok.errors import InvalidInput, NotAuthorised
from kapok.logs import traces

__all__ = ["dataset", "logging_restored", "make_job", "make_realm", "network"]

JOB = "ab" * 32


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider)
    yield exporter.get_finished_spans
    traces.use(None)
    provider.shutdown()


def test_without_a_collector_nothing_is_made_and_no_library_is_imported():
    script = (
        "import sys, kapok.broker.app, kapok.nodes.app, kapok.client.session\n"
        "from kapok.logs import traces\n"
        "with traces.span('judge', job='ab' * 32), traces.continued('Submit', [('traceparent', 'x')]): pass\n"
        "assert traces.headers() == ()\n"
        "traces.configure('node', '')\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_all_spans_of_a_job_are_in_its_trace_and_calls_carry_them(spans):
    with traces.span("judge", job=JOB):
        [(name, sent)] = traces.headers()
        with traces.span("seal", job=JOB):
            pass
    with traces.continued("Consent", [("x", "y"), (name, sent)]):
        pass
    seal, judge, call = spans()
    assert {one.context.trace_id for one in (seal, judge, call)} == {int(JOB[:32], 16)}
    assert seal.parent.span_id == judge.context.span_id == call.parent.span_id
    assert judge.parent.span_id == int(JOB[32:48], 16)
    assert traces.headers() == ()


@pytest.mark.parametrize("sent", [[], [("traceparent", "00-nonsense")], [("traceparent", "")]])
def test_whoever_sends_no_span_gets_none(spans, sent):
    with traces.continued("Consent", sent):
        assert traces.headers() == ()
    assert spans() == ()


def test_of_an_error_its_code_is_told_and_no_text(spans):
    for error, code in (
        (NotAuthorised("secret", code="not_yours"), "not_yours"),
        (ValueError("secret"), "defect"),
    ):
        with pytest.raises(type(error)), traces.span("judge", job=JOB):
            raise error
        last = spans()[-1]
        assert last.attributes == {"kapok.job": JOB, "kapok.code": code}
        assert "secret" not in last.to_json()
        parent = [("traceparent", f"00-{JOB[:32]}-{JOB[:16]}-01")]
        with pytest.raises(type(error)), traces.continued("Consent", parent):
            raise error
        assert "secret" not in spans()[-1].to_json()


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4317", "http://", "http://a/b", "file:///x", "nonsense"])
def test_an_endpoint_is_a_host_and_a_port(endpoint):
    with pytest.raises(InvalidInput) as caught:
        traces.configure("node", endpoint)
    assert caught.value.code == "bad_endpoint"


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(InvalidInput) as caught:
        traces.configure("node", "http://127.0.0.1:4317")
    assert caught.value.code == "no_telemetry"
    assert "kapok[telemetry]" in caught.value.remedy


class Collector(TraceServiceServicer):
    """What takes OTLP over gRPC: spans as they came over the wire."""

    def __init__(self):
        self.spans, self.said = [], b""
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def start(self):
        self._server.start()

    def stop(self):
        self._server.stop(None).wait()

    def Export(self, request, _context):  # noqa: N802 - as the service is declared
        self.said += request.SerializeToString()
        self.spans += [
            span
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # milliseconds: of the library's own
    library = logging.getLogger("opentelemetry")
    level, found = library.level, Collector()
    yield found
    traces.use(None)
    library.setLevel(level)
    found.stop()


async def test_a_collector_is_sent_the_spans_of_all_parties_of_a_job_linked_and_without_a_word_of_it(
    network, make_job, collector
):
    collector.start()
    traces.configure("town", collector.endpoint)
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        job = await net.submit(make_job)
        await net.answer(job)
        for node in net.nodes.values():
            await node.stop()
        trace = bytes.fromhex(job.id[:32])
        async with asyncio.timeout(30):
            while True:
                of_job = [one for one in collector.spans if one.trace_id == trace]
                names = Counter(one.name for one in of_job)
                if names["fold"] and names["Release"] == 3:
                    break
                await asyncio.sleep(0.05)
    assert {
        name: names[name] for name in ("judge", "seal", "release", "Consent", "Seal", "Release")
    } == dict.fromkeys(("judge", "seal", "release", "Consent", "Seal", "Release"), 3)
    # A call at the broker is under the node's span that sent it; all else begins at the job.
    by_id = {one.span_id: one for one in of_job}
    job_itself = bytes.fromhex(job.id[32:48])
    for one in of_job:
        if one.name[0].isupper():
            assert by_id[one.parent_span_id].name == "send"
        else:
            assert one.parent_span_id == job_itself
        assert {item.key for item in one.attributes} <= {"kapok.job", "kapok.code"}
        assert not one.events
    for word in (b"SELECT", b"clinic", b"spiffe", b"university", b"patients"):
        assert word not in collector.said


async def test_a_collector_that_is_away_is_told_once_and_when_it_is_back(collector, caplog):
    caplog.set_level(logging.INFO)
    traces.configure("node", collector.endpoint)

    async def until(message):
        async with asyncio.timeout(60):
            while message not in (lines := [one.getMessage() for one in caplog.records]):
                with traces.span("judge", job=JOB):
                    pass
                await asyncio.sleep(0.1)
        return lines

    await until("spans are not taken")
    with traces.span("judge", job=JOB):
        await asyncio.sleep(4)
    collector.start()
    lines = await until("spans are taken again")
    assert lines == ["spans are not taken", "spans are taken again"]
