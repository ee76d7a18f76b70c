"""Connections that do not come about, break, or mend: each told with what to do, and soon."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time

import pytest
from support.proxy import proxied

from kapok.errors import IdentityInvalid, InvalidInput, TimedOut, Unavailable
from kapok.identity.names import Role
from kapok.wire import channel
from kapok.wire.address import Address
from kapok.wire.channel import connect
from kapok.wire.diagnosis import why_unreachable
from kapok.wire.server import serve

JOB = "cd" * 32
DAY = 86400.0
PROBES = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")


async def start(broker, credentials, address="127.0.0.1:0"):
    return await serve(
        credentials,
        address,
        broker.handlers,
    )


@contextlib.contextmanager
def free_port():
    """A port on which nobody listens, and nobody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def refused(credentials, address, kind):
    with pytest.raises(kind) as caught:
        await connect(credentials, address)
    assert type(caught.value) is kind
    assert caught.value.remedy
    return caught.value.code


async def test_nobody_listening_is_told_at_once(analyst_credentials):
    with free_port() as port:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await connect(analyst_credentials, f"127.0.0.1:{port}", timeout_s=60)
        assert time.monotonic() - began < 30
        assert caught.value.code == "nobody_answers"
        assert caught.value.message == f"nobody answers at 127.0.0.1:{port}"


async def test_an_unknown_host_is_told(analyst_credentials):
    assert await refused(analyst_credentials, "nobody.invalid:1", Unavailable) == "unknown_host"


@pytest.mark.parametrize("speaks", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_something_else_than_kapok_is_told(analyst_credentials, speaks):
    async def answer(reader, writer):
        writer.write(speaks)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await refused(analyst_credentials, f"127.0.0.1:{port}", Unavailable) == "not_kapok"
    server.close()


async def test_a_port_that_accepts_and_says_nothing_is_given_up(analyst_credentials, monkeypatch):
    monkeypatch.setattr("kapok.wire.diagnosis._PATIENCE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        with pytest.raises(TimedOut) as caught:
            await connect(analyst_credentials, f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
    assert caught.value.code == "handshake_timed_out"


async def test_a_handshake_over_a_slow_line_is_waited_for(broker, analyst_credentials):
    """gRPC by itself gives one up after 3 s, and a broker that was slow was taken for one that refuses us."""
    async with proxied(broker.address) as proxy:
        proxy.lag_s = 0.8  # four ways: 3.2 s
        async with await connect(analyst_credentials, proxy.address, timeout_s=60) as line:
            assert line.address == proxy.address


async def test_a_broker_of_another_root_is_told(broker, foreign_realm):
    credentials = foreign_realm.credentials(Role.ANALYST, "ada")
    assert await refused(credentials, broker.address, IdentityInvalid) == "service_certificate_foreign"


async def test_a_party_that_plays_broker_with_its_own_certificate_is_told(broker, realm, analyst_credentials):
    """A node's certificate leads to the right root, but is none to serve with."""
    impostor = await start(broker, realm.credentials(Role.NODE, "ward"))
    assert (
        await refused(analyst_credentials, impostor.address, IdentityInvalid) == "service_certificate_foreign"
    )
    await impostor.stop(0)


async def test_a_broker_under_another_host_name_is_told(broker, realm, analyst_credentials):
    elsewhere = await start(broker, realm.credentials(Role.BROKER, "exchange", hosts=["broker.example"]))
    assert await refused(analyst_credentials, elsewhere.address, IdentityInvalid) == "service_host_differs"
    await elsewhere.stop(0)


async def test_a_broker_whose_certificate_has_expired_is_told(broker, realm, analyst_credentials):
    late = await start(broker, realm.credentials(Role.BROKER, "exchange", age_s=20 * DAY))
    assert await refused(analyst_credentials, late.address, IdentityInvalid) == "service_certificate_expired"
    await late.stop(0)


async def test_ones_own_expired_certificate_is_told_before_dialling(realm):
    with free_port() as port:
        credentials = realm.credentials(Role.ANALYST, "ada", age_s=20 * DAY)
        assert await refused(credentials, f"127.0.0.1:{port}", IdentityInvalid) == "certificate_expired"


async def test_ones_own_certificate_that_expired_since_is_told(broker, realm):
    credentials = realm.credentials(Role.ANALYST, "ada", age_s=20 * DAY)
    address = Address.parse(broker.address)
    assert await why_unreachable(address, realm.root_pem) is None
    found = await why_unreachable(address, realm.root_pem, credentials.certificate_pem)
    assert type(found) is IdentityInvalid
    assert found.code == "certificate_expired"


async def test_a_broker_that_refuses_our_certificate_is_told_from_one_that_is_away(
    broker, realm, foreign_realm
):
    """Ours leads to another root than the broker trusts; the broker's leads to one that we trust."""

    class Torn:
        """What a hand-mended identity folder can hold, though `Credentials` would refuse it."""

        root_pem = realm.root_pem
        shown = foreign_realm.credentials(Role.ANALYST, "ada")
        certificate_pem = shown.certificate_pem
        name = shown.name

        def key_pem(self):
            return self.shown.key_pem()

        def check_dates(self, now):
            self.shown.check_dates(now)

    assert await refused(Torn(), broker.address, IdentityInvalid) == "certificate_refused"


async def test_a_port_in_use_is_told(broker, broker_credentials):
    with pytest.raises(InvalidInput) as caught:
        await start(broker, broker_credentials, broker.address)
    assert caught.value.code == "port_in_use"
    assert broker.address in caught.value.message
    assert caught.value.remedy


async def test_a_port_that_this_user_may_not_open_is_told(broker, broker_credentials, monkeypatch):
    class Forbidden(socket.socket):
        """What the system does to a user who is not root, for whom gRPC itself cannot listen either."""

        def bind(self, _where):
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("kapok.wire.server.socket.socket", Forbidden)
    with pytest.raises(InvalidInput) as caught:
        await start(broker, broker_credentials, broker.address)
    assert caught.value.code == "port_forbidden"
    assert "above 1023" in caught.value.remedy


async def test_a_server_whose_key_is_not_its_certificates_is_told(broker, broker_credentials, realm):
    class Torn:
        """The broker's certificate, and the key of somebody else."""

        root_pem = broker_credentials.root_pem
        certificate_pem = broker_credentials.certificate_pem
        name = broker_credentials.name

        def key_pem(self):
            return realm.credentials(Role.BROKER, "other").key_pem()

        def check_dates(self, now):
            broker_credentials.check_dates(now)

    with pytest.raises(IdentityInvalid) as caught:
        await start(broker, Torn())
    assert caught.value.code == "identity_invalid"
    assert "kapok enroll" in caught.value.remedy


@pytest.mark.parametrize("address", ["192.0.2.1:0", "nobody.invalid:0", "127.0.0.1", "127.0.0.1:http"])
async def test_an_address_that_is_not_ours_is_told(broker, broker_credentials, address):
    with pytest.raises(InvalidInput) as caught:
        await start(broker, broker_credentials, address)
    assert caught.value.code == "bad_address"


async def test_a_connection_that_is_dead_is_noticed_by_probes(broker, node_credentials, monkeypatch):
    """All bounds a twentieth: one that gRPC sets by itself, to a minute, would be seen."""
    soon = tuple((name, value // 20 if name in PROBES else value) for name, value in channel._OPTIONS)
    monkeypatch.setattr(channel, "_OPTIONS", soon)
    monkeypatch.setattr("kapok.wire.diagnosis._PATIENCE_S", 0.2)
    async with proxied(broker.address) as proxy, await connect(node_credentials, proxy.address) as line:
        watch = line.node.watch()
        for known in broker.nodes.todo:
            assert await anext(watch) == known
        proxy.fault = "stall"
        async with asyncio.timeout(30):
            with pytest.raises(Unavailable):
                await anext(watch)
        await watch.aclose()


async def test_a_server_that_stops_ends_watches_and_says_so(broker, analyst):
    broker.analysts.changes.put_nowait(broker.analysts.statuses[0])
    watch = analyst.analyst.watch(JOB)
    await anext(watch)
    began = time.monotonic()
    stopping = asyncio.ensure_future(broker.server.stop(60))
    with pytest.raises(Unavailable) as caught:
        await anext(watch)
    assert caught.value.code == "shutting_down"
    assert caught.value.retryable
    await stopping
    assert time.monotonic() - began < 30
    assert broker.analysts.watch_closed.is_set()


async def test_a_server_that_is_gone_in_the_middle_of_a_stream_is_lost(broker, analyst):
    broker.analysts.changes.put_nowait(broker.analysts.statuses[0])
    watch = analyst.analyst.watch(JOB)
    await anext(watch)
    await broker.server._server.stop(0)
    with pytest.raises(Unavailable) as caught:
        await anext(watch)
    assert caught.value.code in {"connection_lost", "nobody_answers"}


async def test_a_connection_mends_itself_when_the_broker_is_back(broker, broker_credentials, node):
    await node.node.join("m")
    await broker.server.stop(0)
    with pytest.raises(Unavailable) as caught:
        await node.node.join("m")
    assert caught.value.code == "nobody_answers"
    again = await start(broker, broker_credentials, broker.address)
    for _ in range(200):
        try:
            await node.node.join("n")
            break
        except Unavailable:
            await asyncio.sleep(0.05)
    assert broker.nodes.calls[-1][-1] == "n"
    await again.stop(0)


async def test_a_connection_closed_on_this_side_says_so(broker, analyst_credentials):
    connection = await connect(analyst_credentials, broker.address)
    broker.analysts.changes.put_nowait(broker.analysts.statuses[0])
    watch = connection.analyst.watch(JOB)
    await anext(watch)
    coming = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(Unavailable) as caught:
        await coming
    assert caught.value.code == "connection_closed"
    with pytest.raises(Unavailable) as caught:
        await connection.analyst.submit("spec")
    assert caught.value.code == "connection_closed"
    await connection.close()


def test_nothing_secret_is_shown(broker, analyst):
    shown = repr(broker.server) + repr(analyst) + repr(analyst._transport)
    assert "PRIVATE KEY" not in shown
    assert "CERTIFICATE" not in shown
