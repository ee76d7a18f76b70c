"""Spans: one trace for each job, at every party; nothing in them but steps, jobs and codes."""

import subprocess
import sys

import pytest
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


async def test_a_job_of_a_real_network_is_one_trace_without_a_word_of_its_question(network, make_job, spans):
    async with network() as net:
        for letter in "abc":
            await net.furnish(letter).start()
        job = await net.submit(make_job)
        await net.answer(job)
        for node in net.nodes.values():
            await node.stop()
    of_job = [one for one in spans() if one.context.trace_id == int(job.id[:32], 16)]
    names = [one.name for one in of_job]
    assert names.count("judge") == names.count("seal") == names.count("release") == 3
    assert "fold" in names
    for one in of_job:
        assert set(one.attributes) <= {"kapok.job", "kapok.code"}
        text = one.to_json()
        assert "SELECT" not in text
        assert "clinic" not in text
        assert "spiffe" not in text
