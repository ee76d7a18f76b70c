"""Everything that crosses the wire has a bound, and over the bound is a clear error."""

from __future__ import annotations

import asyncio
import itertools

import grpc
import pytest

from kapok.errors import InvalidInput, PeerProtocolError, Unavailable
from kapok.wire import failures, version
from kapok.wire.channel import connect
from kapok.wire.limits import Limits
from kapok.wire.messages import MOST_CHUNK_BYTES
from kapok.wire.server import serve
from kapok.wire.v1 import node_pb2
from kapok.wire.v1.node_pb2_grpc import NodeServiceStub

JOB = "cd" * 32


async def start(broker, credentials, limits):
    return await serve(
        credentials,
        "127.0.0.1:0",
        broker.handlers,
        limits=limits,
    )


async def test_a_message_over_the_bound_is_refused_on_this_side(broker, analyst):
    await analyst.analyst.submit("x" * (4 * 1024 * 1024 - 100))
    with pytest.raises(InvalidInput) as caught:
        await analyst.analyst.submit("x" * (4 * 1024 * 1024 + 1))
    assert caught.value.code == "message_too_large"
    assert len(broker.analysts.calls) == 1


async def test_a_message_over_the_bound_is_refused_by_the_broker_too(
    broker, broker_credentials, analyst_credentials
):
    server = await start(broker, broker_credentials, Limits(message_bytes=1000))
    async with await connect(analyst_credentials, server.address) as connection:
        with pytest.raises(InvalidInput) as caught:
            await connection.analyst.submit("x" * 1001)
        assert caught.value.code == "message_too_large"
        assert broker.analysts.calls == []
        assert await connection.analyst.submit("x" * 900)
    await server.stop(0)


async def test_an_answer_over_the_callers_bound_is_refused(broker, analyst_credentials):
    await broker.catalogue.publish_dataset(analyst_credentials.name, "x" * 1001)
    limits = Limits(message_bytes=1000)
    async with await connect(analyst_credentials, broker.address, limits=limits) as connection:
        with pytest.raises(InvalidInput) as caught:
            await connection.catalogue.datasets()
    assert caught.value.code == "message_too_large"


async def test_lists_are_longer_than_one_message(broker, analyst, analyst_credentials):
    for _ in range(6):
        await broker.catalogue.publish_dataset(analyst_credentials.name, "x" * 1_000_000)
    assert len(await analyst.catalogue.datasets()) == 6


async def test_more_calls_at_once_than_the_broker_bears_are_told(
    broker, broker_credentials, node_credentials
):
    server = await start(broker, broker_credentials, Limits(concurrent_calls=3))
    async with await connect(node_credentials, server.address) as connection:
        watches = [connection.node.watch() for _ in range(3)]
        for watch in watches:
            await anext(watch)
        with pytest.raises(Unavailable) as caught:
            await connection.node.join("m")
        assert caught.value.code == "too_busy"
        assert (caught.value.retryable, caught.value.retry_after_s) == (True, 1.0)
        for watch in watches:
            await watch.aclose()
        for _ in range(200):
            try:
                await connection.node.join("m")
                break
            except Unavailable:
                await asyncio.sleep(0.02)
        assert broker.nodes.calls[-1][0] == "join"
    await server.stop(0)


@pytest.mark.parametrize("chunk", [b"", bytes(MOST_CHUNK_BYTES + 1)], ids=["empty", "too large"])
async def test_a_chunk_out_of_bounds_is_not_sent(broker, node, chunk):
    with pytest.raises(InvalidInput) as caught:
        await node.node.seal(JOB, "seal", [b"one", chunk])
    assert caught.value.code == "bad_chunk"
    assert broker.nodes.sealed == []


def header(job_id=JOB):
    return node_pb2.SealRequest(header=node_pb2.SealHeader(job_id=job_id, seal="s"))


def chunk(size):
    return node_pb2.SealRequest(chunk=bytes(size))


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "bad_stream"),
        ([node_pb2.SealRequest()], "bad_stream"),
        ([chunk(5)], "bad_stream"),
        ([chunk(5), header()], "bad_stream"),
        ([header(), chunk(5), header()], "bad_stream"),
        ([header(), chunk(5), node_pb2.SealRequest()], "bad_stream"),
        ([header("not a job"), chunk(5)], "bad_id"),
        ([header(), chunk(0)], "bad_chunk"),
        ([header(), chunk(MOST_CHUNK_BYTES + 1)], "bad_chunk"),
    ],
    ids=[
        "nothing",
        "unset",
        "no header",
        "header late",
        "two headers",
        "unset later",
        "id",
        "empty",
        "large",
    ],
)
async def test_a_stream_that_is_not_a_header_and_chunks_is_refused(broker, node_credentials, parts, code):
    shown = grpc.ssl_channel_credentials(
        node_credentials.root_pem, node_credentials.key_pem(), node_credentials.certificate_pem
    )
    async with grpc.aio.secure_channel(broker.address, shown) as channel:
        call = NodeServiceStub(channel).Seal(iter(parts), metadata=version.STAMP, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    error = failures.carried(tuple(caught.value.trailing_metadata()))
    assert type(error) is InvalidInput
    assert error.code == code
    assert broker.nodes.sealed == []


async def test_a_desk_that_makes_chunks_too_large_is_a_defect_on_its_side(broker, analyst):
    broker.analysts.sum = [broker.analysts.sum[0], bytes(MOST_CHUNK_BYTES + 1)]
    with pytest.raises(InvalidInput) as caught:
        [part async for part in analyst.analyst.fetch(JOB)]
    assert caught.value.code == "bad_chunk"


async def test_a_list_without_end_is_cut_off_by_who_reads_it(broker, analyst_credentials):
    limits = Limits(list_bytes=100_000)
    broker.analysts.statuses = itertools.repeat(broker.analysts.statuses[0])
    async with await connect(analyst_credentials, broker.address, limits=limits) as connection:
        with pytest.raises(PeerProtocolError) as caught:
            await connection.analyst.jobs()
        assert caught.value.code == "answer_too_long"
        assert connection.traffic.bytes_received < 2 * limits.list_bytes
