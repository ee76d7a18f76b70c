"""Parties that take more of a broker, or of the authority, than is theirs, so that others have nothing.

The broker is the daemon as it runs; what calls it is gRPC by hand, for Kapok's own client is polite.
"""

import asyncio
import contextlib
import time
from types import SimpleNamespace

import grpc
import pytest
from support.broker import settle
from support.hospitals import Realm

from kapok.broker.app import run
from kapok.errors import IdentityInvalid, Unavailable
from kapok.identity.names import Role
from kapok.wire import server as server_module
from kapok.wire import version
from kapok.wire.channel import connect
from kapok.wire.limits import Limits
from kapok.wire.server import serve, serve_enrolment

LISTING = "/kapok.wire.v1.AnalystService/ListJobs"
RELEASING = "/kapok.wire.v1.NodeService/Release"
SEALING = "/kapok.wire.v1.NodeService/Seal"
ENROLLING = "/kapok.wire.v1.EnrolmentService/Enrol"
BOUNDED = Limits(concurrent_calls=24, calls_of_one=4, calls_of_organisation=8, unary_s=2.5)
UNBOUNDED = Limits(concurrent_calls=24, calls_of_one=1000, calls_of_organisation=1000, unary_s=30.0)


@pytest.fixture(scope="module")
def realm():
    return Realm(time.time())


@contextlib.asynccontextmanager
async def broker(folder, realm, limits):
    """A broker daemon whose server bears so much."""
    running, said, stop = [], asyncio.get_running_loop().create_future(), asyncio.Event()

    async def serving(*placed, **named):
        running.append(await serve(*placed, **named | {"limits": limits}))
        return running[0]

    home = settle(realm.credentials("exchange", Role.BROKER, "main"), folder)
    task = asyncio.create_task(run(home, ready=said.set_result, stop=stop, serving=serving))
    await asyncio.wait((task, said), return_when=asyncio.FIRST_COMPLETED)
    yield SimpleNamespace(address=said.result(), gate=running[0]._gate)
    stop.set()
    await task


def tls(credentials):
    return grpc.ssl_channel_credentials(
        credentials.root_pem, credentials.key_pem(), credentials.certificate_pem
    )


@contextlib.asynccontextmanager
async def silent_calls(address, shown, method, count):
    """Calls of one party that begin and say nothing; each one's end, as far as it has come."""
    async with grpc.aio.secure_channel(address, shown) as channel:
        calls = [channel.stream_unary(method)(metadata=version.STAMP) for _ in range(count)]
        yield calls
        for call in calls:
            call.cancel()


async def under_way(gate, count):
    """Until so many calls have come through the gate."""
    async with asyncio.timeout(30):
        while len(gate.calls) != count:
            await asyncio.sleep(0.01)


async def told(call):
    """With which code a call was refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    [(_, carried)] = [one for one in caught.value.trailing_metadata() if one[0].endswith("-bin")]
    return carried


@pytest.mark.parametrize("method", [LISTING, SEALING])
async def test_calls_that_begin_and_say_nothing_take_the_room_of_one_organisation(tmp_path, realm, method):
    """Three analysts of one university begin more calls than the whole broker bears."""
    role = Role.ANALYST if method == LISTING else Role.NODE
    greedy = [tls(realm.credentials("university", role, name)) for name in ("ada", "ash", "alf")]
    async with broker(tmp_path, realm, BOUNDED) as server, contextlib.AsyncExitStack() as stack:
        calls = []
        for one in greedy:
            calls += await stack.enter_async_context(silent_calls(server.address, one, method, 8))
        # Those that have no place are told so at once.
        async with asyncio.timeout(30):
            while sum(call.done() for call in calls) < 24 - BOUNDED.calls_of_organisation:
                await asyncio.sleep(0.01)
        victim = realm.credentials("clinic", Role.NODE, "main")
        async with await connect(victim, server.address) as line:
            assert (await line.health.check())[0]
        if method == LISTING:
            # And those that have one, when the time for their request is over: nothing is left of them.
            carried = [await told(call) for call in calls]
            assert sum(b"call_timed_out" in one for one in carried) == BOUNDED.calls_of_organisation
            assert sum(b"too_many_calls" in one for one in carried) == 24 - BOUNDED.calls_of_organisation
            await under_way(server.gate, 0)


async def test_without_the_bounds_they_take_the_room_of_all(tmp_path, realm):
    greedy = tls(realm.credentials("university", Role.ANALYST, "ada"))
    async with (
        broker(tmp_path, realm, UNBOUNDED) as server,
        silent_calls(server.address, greedy, LISTING, 24),
    ):
        await under_way(server.gate, 24)
        victim = realm.credentials("clinic", Role.NODE, "main")
        async with await connect(victim, server.address) as line:
            with pytest.raises(Unavailable) as caught:
                await line.health.check()
        assert caught.value.code == "too_busy"


async def test_a_stranger_takes_some_of_the_authoritys_room_and_not_all(realm):
    """Who has no certificate has places by network, and as little time."""
    shown = realm.credentials("registry", Role.AUTHORITY, "main", hosts=("127.0.0.1",))
    server = await serve_enrolment(
        shown.key_pem(),
        shown.certificate_pem,
        "127.0.0.1:0",
        SimpleNamespace(),
        limits=Limits(concurrent_calls=8, calls_of_one=3, unary_s=2.5),
    )
    stranger = grpc.ssl_channel_credentials(shown.root_pem)
    async with silent_calls(server.address, stranger, ENROLLING, 8) as calls:
        carried = [await told(call) for call in calls]
    assert sum(b"too_many_calls" in one for one in carried) == 5
    assert sum(b"call_timed_out" in one for one in carried) == 3
    await server.stop(0)


async def test_connections_without_a_handshake_are_closed(tmp_path, realm, monkeypatch):
    """Each holds a file and 20 KiB of the broker, and nobody knows whose it is."""
    monkeypatch.setattr(server_module, "_HANDSHAKE", (("grpc.server_handshake_timeout_ms", 500),))
    async with broker(tmp_path, realm, BOUNDED) as server:
        host, _, port = server.address.rpartition(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        async with asyncio.timeout(30):
            assert [await reader.read() for reader, _ in opened] == [b""] * 20
        for _, writer in opened:
            writer.close()


async def test_a_watch_ends_with_the_certificate_that_it_was_begun_with(tmp_path, realm):
    """Who has left need not be revoked to be out: its certificate ends, and with it what is open."""
    node = realm.credentials("clinic", Role.NODE, "main")
    async with broker(tmp_path, realm, BOUNDED) as server, await connect(node, server.address) as line:
        expires = node.certificate.not_valid_after_utc.timestamp()
        server.gate.clock = lambda: expires - 0.5
        watch = line.node.watch()
        await anext(watch)
        with pytest.raises(IdentityInvalid) as caught:
            await asyncio.wait_for(anext(watch), 30)
        assert caught.value.code == "certificate_expired"
        await under_way(server.gate, 0)


async def test_bytes_that_are_no_message_are_told_so_and_are_no_defect(tmp_path, realm, caplog):
    """And a call without a message as well. Neither leaves a traceback in anybody's log."""
    node = realm.credentials("clinic", Role.NODE, "main")
    async with (
        broker(tmp_path, realm, BOUNDED) as server,
        grpc.aio.secure_channel(server.address, tls(node)) as channel,
    ):
        for requests, code in (([b"\xff" * 9], "bad_message"), ([], "bad_stream")):
            call = channel.stream_unary(RELEASING)(iter(requests), metadata=version.STAMP)
            assert code.encode() in await told(call)
        call = channel.stream_unary(SEALING)(iter([b"\xff" * 9]), metadata=version.STAMP)
        assert b"bad_message" in await told(call)
    assert not [record for record in caplog.records if record.exc_info]
