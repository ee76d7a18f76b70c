"""Errors that cross the wire: the caller raises what the service raised."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import grpc
import pytest

from kapok import errors, logs
from kapok.errors import (
    InternalError,
    InvalidInput,
    KapokError,
    NotFound,
    PeerProtocolError,
    TimedOut,
    Unavailable,
    VersionMismatch,
)
from kapok.wire import failures
from kapok.wire.channel import connect
from kapok.wire.limits import Limits
from kapok.wire.server import serve
from kapok.wire.v1 import errors_pb2

JOB = "cd" * 32
CLASSES = sorted(
    (
        errors.error_class(name)
        for name in errors.__all__
        if name.endswith(tuple("abcdefghijklmnopqrstuvwxyz"))
    ),
    key=lambda kind: kind.__name__,
)
RAISED = [kind for kind in dict.fromkeys(CLASSES) if kind is not KapokError]


def test_the_table_covers_the_whole_tree():
    tree = {KapokError}
    while True:
        grown = tree | {
            child for kind in tree for child in kind.__subclasses__() if child.__module__ == "kapok.errors"
        }
        if grown == tree:
            break
        tree = grown
    assert set(failures.STATUS) == tree
    assert set(RAISED) == tree - {KapokError}
    assert grpc.StatusCode.OK not in failures.STATUS.values()


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
async def test_each_class_arrives_as_it_was_raised(broker, analyst, kind):
    raised = kind(
        "what hospital B said: 不可",
        code="some_code",
        remedy="do this",
        clause="policy.x",
        party="spiffe://p",
    )
    broker.analysts.raises = raised
    with pytest.raises(KapokError) as caught:
        await analyst.analyst.submit("spec")
    assert type(caught.value) is kind
    assert caught.value.diagnostics() == raised.diagnostics()
    assert caught.value.exit_status == kind.exit_status
    assert caught.value.__cause__.code() is failures.STATUS[kind]


async def test_a_refused_call_is_logged_with_its_job_and_its_caller(
    broker, analyst, node, analyst_credentials, node_credentials
):
    """Whatever else a service logs while it answers a call says so too."""
    stream = io.StringIO()
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    logs.configure(stream)
    try:
        broker.analysts.raises = broker.nodes.raises = NotFound("gone")
        with pytest.raises(NotFound):
            await analyst.analyst.job(JOB)
        with pytest.raises(NotFound):
            await node.node.seal(JOB, "seal", [b"chunk"])
        with pytest.raises(NotFound):
            await node.node.join("membership")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    lines = [one for one in entries if one["logger"] == "kapok.wire.gate"]
    told = [(one["code"], one["party"], one.get("job")) for one in lines]
    assert told == [
        ("not_found", str(analyst_credentials.name), JOB),
        ("not_found", str(node_credentials.name), JOB),
        ("not_found", str(node_credentials.name), None),
    ]


async def test_what_is_unknown_about_an_error_stays_unknown(broker, analyst):
    broker.analysts.raises = NotFound("gone")
    with pytest.raises(NotFound) as caught:
        await analyst.analyst.job(JOB)
    assert (caught.value.remedy, caught.value.clause, caught.value.party) == (None, None, None)


@pytest.mark.parametrize("verb", ["listing", "watching", "sealing"])
async def test_errors_arrive_from_streams_too(broker, analyst, node, verb):
    broker.analysts.raises = broker.nodes.raises = NotFound("gone", code="unknown_job")
    calls = {
        "listing": lambda: analyst.analyst.jobs(),
        "watching": lambda: anext(analyst.analyst.watch(JOB)),
        "sealing": lambda: node.node.seal(JOB, "seal", [bytes(256 * 1024)] * 20),
    }
    with pytest.raises(NotFound) as caught:
        await calls[verb]()
    assert caught.value.code == "unknown_job"


async def test_an_error_in_the_middle_of_a_stream_arrives_after_what_came_before(broker, node):
    broker.nodes.todo.append("not an assignment")
    watch = node.node.watch()
    for assignment in broker.nodes.todo[:-1]:
        assert await anext(watch) == assignment
    with pytest.raises(InternalError):
        await anext(watch)


async def test_a_defect_shows_its_incident_here_and_its_traceback_there(broker, analyst, caplog):
    broker.analysts.raises = KeyError("secret-of-a-handler")
    with caplog.at_level(logging.ERROR, logger="kapok.wire"), pytest.raises(InternalError) as caught:
        await analyst.analyst.submit("spec")
    assert "secret-of-a-handler" not in caught.value.diagnostics()
    assert "Traceback" not in caught.value.diagnostics()
    incident = caught.value.message.rsplit(" ", 1)[1]
    (record,) = [record for record in caplog.records if incident in record.getMessage()]
    assert record.exc_info[1] is broker.analysts.raises


async def test_a_long_error_is_cut_and_still_arrives(broker, analyst):
    broker.analysts.raises = InvalidInput(
        "长" * 5000, code="long", remedy="r" * 9000, clause="c" * 9000, party="p" * 9000
    )
    with pytest.raises(InvalidInput) as caught:
        await analyst.analyst.submit("spec")
    assert caught.value.code == "long"
    assert caught.value.message.startswith("长长长")
    assert caught.value.message.endswith("…")


def test_an_error_cannot_steer_a_terminal():
    detail = errors_pb2.ErrorDetail(kind="NotFound", code="x", message="a\x1b[2Jb\r\nc", remedy="\x07d")
    read = failures.carried(((failures.KEY, detail.SerializeToString()),))
    assert read.message == "a [2Jb  c"
    assert read.remedy == "d"


def test_a_class_from_the_future_is_an_internal_error():
    detail = errors_pb2.ErrorDetail(kind="QuotaError", code="quota", message="no")
    read = failures.carried(((failures.KEY, detail.SerializeToString()),))
    assert type(read) is InternalError
    assert read.code == "quota"


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff",
        errors_pb2.ErrorDetail(kind="NotFound", code="Not A Code", message="m").SerializeToString(),
        errors_pb2.ErrorDetail(kind="NotFound", code="x").SerializeToString(),
        errors_pb2.ErrorDetail(kind="NotFound", code="x", message="\n\t").SerializeToString(),
    ],
    ids=["not protobuf", "bad code", "no message", "blank message"],
)
def test_an_unreadable_error_is_the_peers_fault(raw):
    with pytest.raises(PeerProtocolError) as caught:
        failures.carried(((failures.KEY, raw),))
    assert caught.value.code == "bad_answer"


def test_metadata_without_an_error_carries_none():
    assert failures.carried((("kapok-wire", "1"), ("other-bin", b"x"))) is None


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", TimedOut, "call_timed_out"),
        (grpc.StatusCode.CANCELLED, "CANCELLED", Unavailable, "connection_lost"),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", Unavailable, "connection_lost"),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2", Unavailable, "connection_lost"),
        (grpc.StatusCode.UNKNOWN, "Stream removed", Unavailable, "connection_lost"),
        (grpc.StatusCode.INTERNAL, "Internal error from Core", Unavailable, "connection_lost"),
        (grpc.StatusCode.INTERNAL, "anything", PeerProtocolError, "bad_answer"),
        (grpc.StatusCode.PERMISSION_DENIED, "", PeerProtocolError, "bad_answer"),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", VersionMismatch, "wire_version_missing"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", Unavailable, "too_busy"),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "CLIENT: Received message larger than max (9 vs. 8)",
            InvalidInput,
            "message_too_large",
        ),
    ],
)
def test_a_failure_of_the_transport_is_told_in_plain_words(status, text, kind, code):
    told = failures.told(status, text, "broker:7443", 5.0)
    assert type(told) is kind
    assert told.code == code
    assert "broker:7443" in told.message
    assert not text or text not in told.diagnostics()


async def test_a_call_that_takes_too_long_is_given_up_by_the_service(
    broker_credentials, analyst_credentials, broker
):
    server = await serve(
        broker_credentials,
        "127.0.0.1:0",
        broker.handlers,
        limits=Limits(unary_s=0.05, transfer_s=0.05),
    )
    broker.analysts.delay_s = 60
    async with await connect(analyst_credentials, server.address) as connection:
        for call in (connection.analyst.submit("spec"), connection.analyst.jobs()):
            with pytest.raises(TimedOut) as caught:
                await call
            assert caught.value.code == "call_timed_out"
            assert "0.05 s" in caught.value.message
    await server.stop(0)


async def test_a_time_out_inside_a_desk_is_a_defect_and_not_the_calls_deadline(broker, analyst):
    broker.analysts.raises = TimeoutError()
    with pytest.raises(InternalError):
        await analyst.analyst.submit("spec")


async def test_a_caller_that_is_cancelled_is_cancelled(broker, analyst):
    broker.analysts.delay_s = 60
    task = asyncio.ensure_future(analyst.analyst.submit("spec"))
    while not broker.analysts.calls:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
