"""A broker that only an HTTP proxy leads to: gRPC's tunnel by it, and what is said where there is none."""

import asyncio
import base64
import contextlib

import pytest

from kapok.errors import IdentityInvalid, Unavailable
from kapok.identity.names import Role
from kapok.wire.address import Address
from kapok.wire.channel import connect
from kapok.wire.proxy import proxy_for
from kapok.wire.server import serve

# A name that nobody here can resolve: only the proxy knows where it leads.
HOST = "broker.hospital.test"
NAMES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


class Proxy:
    """Opens tunnels to one place whatever is asked for, or answers as it is told.

    Attributes:
        asked: The first lines of requests, with their Proxy-Authorization.
        answer: What it answers; a tunnel where it is a 200.
        port: Its own.
    """

    def __init__(self, port):
        self._to, self.asked, self.answer = port, [], b"HTTP/1.1 200 OK\r\n\r\n"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, EOFError):
            first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            known = [one.split(": ")[1] for one in fields if one.lower().startswith("proxy-authorization")]
            self.asked.append((first, *known))
            writer.write(self.answer)
            if b" 200 " not in self.answer:
                writer.close()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            await asyncio.gather(_carry(reader, back), _carry(there, writer))


async def _carry(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def behind(broker, realm, monkeypatch):
    """A proxy before a broker whose certificate is for a name that is not known here, and that name."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    named = realm.credentials(Role.BROKER, "named", hosts=(HOST,))
    server = await serve(named, "127.0.0.1:0", broker.handlers)
    async with Proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://ward:owl%40night@127.0.0.1:{proxy.port}")
        yield proxy, f"{HOST}:{server.port}"
    await server.stop(0)


async def test_a_broker_is_reached_by_the_proxy_with_tls_end_to_end(behind, node_credentials):
    proxy, address = behind
    async with await connect(node_credentials, address) as connection:
        serving, _ = await connection.health.check()
        assert serving
    told = base64.b64encode(b"ward:owl@night").decode()
    assert set(proxy.asked) == {(f"CONNECT {address} HTTP/1.1", f"Basic {told}")}


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused", "gives no tunnel to"),
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "proxy_refused", "who asks (407)"),
        (b"220 mail.hospital.test ESMTP\r\n\r\n", "proxy_refused", "does not speak HTTP"),
        (b"", "proxy_unreachable", "gives no answer"),
    ],
)
async def test_what_the_proxy_refuses_is_told_of_the_proxy(behind, node_credentials, answer, code, said):
    proxy, address = behind
    proxy.answer = answer
    with pytest.raises(Unavailable) as caught:
        await connect(node_credentials, address)
    assert caught.value.code == code
    assert said in caught.value.message
    assert f"the proxy 127.0.0.1:{proxy.port} of https_proxy" in caught.value.message
    assert caught.value.remedy
    assert "owl" not in f"{caught.value.message} {caught.value.remedy}"


async def test_a_proxy_that_is_not_there_and_a_host_that_is_excepted(behind, node_credentials, monkeypatch):
    _, address = behind
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")  # comes before https_proxy
    with pytest.raises(Unavailable) as caught:
        await connect(node_credentials, address)
    assert caught.value.code == "proxy_unreachable"
    assert "of grpc_proxy" in caught.value.message
    monkeypatch.setenv("no_proxy", "other.test, .hospital.test")
    with pytest.raises(Unavailable) as caught:
        await connect(node_credentials, address)
    assert caught.value.code == "unknown_host"


async def test_a_proxy_that_looks_inside_is_found_out(behind, foreign_realm, realm, node_credentials, broker):
    """One that ends TLS itself, as inspection does, shows a certificate of its own."""
    proxy, address = behind
    own = foreign_realm.credentials(Role.BROKER, "named", hosts=(HOST,))
    inspecting = await serve(own, "127.0.0.1:0", broker.handlers)
    proxy._to = inspecting.port
    with pytest.raises(IdentityInvalid) as caught:
        await connect(node_credentials, address)
    assert caught.value.code == "service_certificate_foreign"
    await inspecting.stop(0)


def test_which_proxy_is_grpcs_own_rule():
    there = Address("broker.example.org", 7443)
    assert proxy_for(there, {}) is None
    assert proxy_for(Address("127.0.0.1", 7443), {"https_proxy": "http://p:3128"}) is None
    found = proxy_for(there, {"https_proxy": "http://u:secret@p:3128", "http_proxy": "http://q"})
    assert (found.address, found.variable, found.credentials) == (
        Address("p", 3128),
        "https_proxy",
        "u:secret",
    )
    assert "secret" not in f"{found} {found!r}"
    assert proxy_for(there, {"http_proxy": "http://q"}).address == Address("q", 80)
    for unusable in ("https://p:3128", "socks5://p", "p:3128", "http://", "http://p:port"):
        assert proxy_for(there, {"https_proxy": unusable}) is None
    for excepted in ("example.org", "a.test,.example.org ", "broker.example.org"):
        assert proxy_for(there, {"http_proxy": "http://q", "no_proxy": excepted}) is None
