"""Who gets in: the certificate, its root, its date, its name, its role, and the version of TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time

import grpc
import pytest

from kapok.errors import IdentityInvalid, KapokError, NotAuthorised, VersionMismatch
from kapok.identity.names import PartyName, Role
from kapok.wire import failures, peers, version
from kapok.wire.channel import connect
from kapok.wire.v1 import analyst_pb2
from kapok.wire.v1.analyst_pb2_grpc import AnalystServiceStub

DAY = 86400.0


async def asked(channel: grpc.aio.Channel) -> KapokError | None:
    """Submit a job over a channel; return what the broker raised."""
    async with channel:
        try:
            await AnalystServiceStub(channel).SubmitJob(
                analyst_pb2.SubmitJobRequest(specification="spec"), metadata=version.STAMP, timeout=10
            )
        except grpc.aio.AioRpcError as error:
            return failures.carried(tuple(error.trailing_metadata())) or failures.told(
                error.code(), error.details(), "broker", None
            )
    return None


async def test_a_node_is_no_analyst_and_an_analyst_no_node(broker, analyst, node, node_credentials):
    with pytest.raises(NotAuthorised) as caught:
        await node.analyst.submit("spec")
    assert caught.value.code == "wrong_role"
    assert caught.value.party == str(node_credentials.name)
    for call in (
        analyst.node.join("m"),
        analyst.node.seal("ab" * 32, "s", [b"x"]),
        anext(analyst.node.watch()),
    ):
        with pytest.raises(NotAuthorised):
            await call
    assert broker.analysts.calls == broker.nodes.calls == []


async def test_only_officers_ask_an_officers_questions(broker, analyst, node, officer):
    for caller in (analyst, node):
        for call in (
            caller.officer.sign_reopening(b"{}"),
            caller.officer.reopenings(),
            caller.officer.cohorts("ab" * 32),
        ):
            with pytest.raises(NotAuthorised):
                await call
    with pytest.raises(NotAuthorised):
        await officer.analyst.submit("spec")
    with pytest.raises(NotAuthorised):
        await officer.node.answer_reopening("ab" * 32, "yes")
    assert broker.officers.calls == broker.analysts.calls == broker.nodes.calls == []


async def test_a_brokers_certificate_is_neither(broker, broker_credentials):
    async with await connect(broker_credentials, broker.address) as connection:
        with pytest.raises(NotAuthorised):
            await connection.analyst.submit("spec")
        await connection.catalogue.publish_dataset("x")


async def test_a_certificate_of_another_root_is_refused(broker, realm, foreign_realm):
    key, certificate = foreign_realm.leaf(foreign_realm.name(Role.ANALYST, "ada"))
    channel = grpc.aio.secure_channel(broker.address, realm.shown(key, certificate))
    assert (await asked(channel)).code == "connection_lost"
    assert broker.analysts.calls == []


async def test_a_caller_without_a_certificate_is_refused(broker, realm):
    shown = grpc.ssl_channel_credentials(realm.root_pem)
    assert (await asked(grpc.aio.secure_channel(broker.address, shown))).code == "connection_lost"
    assert broker.analysts.calls == []


async def test_a_certificate_that_is_used_after_its_end_is_refused(broker, realm):
    key, certificate = realm.leaf(realm.name(Role.ANALYST, "ada"), age_s=20 * DAY)
    channel = grpc.aio.secure_channel(broker.address, realm.shown(key, certificate))
    assert (await asked(channel)).code == "connection_lost"
    assert broker.analysts.calls == []


async def test_a_certificate_that_ends_while_connected_is_refused(broker, analyst, analyst_credentials):
    await analyst.analyst.submit("spec")
    broker.server._gate.clock = lambda: time.time() + 11 * DAY
    with pytest.raises(IdentityInvalid) as caught:
        await analyst.analyst.submit("spec")
    assert caught.value.code == "certificate_expired"
    assert caught.value.party == str(analyst_credentials.name)
    assert len(broker.analysts.calls) == 1


async def test_a_name_of_another_trust_domain_is_refused_though_the_root_is_ours(broker, realm):
    key, certificate = realm.leaf(realm.name(Role.ANALYST, "ada", "other.example"))
    error = await asked(grpc.aio.secure_channel(broker.address, realm.shown(key, certificate)))
    assert type(error) is IdentityInvalid
    assert error.code == "certificate_foreign"
    assert broker.analysts.calls == []


@contextlib.asynccontextmanager
async def forwarder(broker, credentials, folder, newest: ssl.TLSVersion):
    """Speaks plain text to a client, TLS up to `newest` to the broker, with the client's certificate."""
    (folder / "c.pem").write_bytes(credentials.certificate_pem)
    (folder / "k.pem").write_bytes(credentials.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=credentials.root_pem.decode())
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    context.set_alpn_protocols(["h2"])
    context.maximum_version = newest
    spoken: list[str] = []
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", broker.server.port, ssl=context, server_hostname="127.0.0.1"
        )
        writers.extend((writer, far_writer))
        spoken.append(far_writer.get_extra_info("ssl_object").version())
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", spoken
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)


async def test_tls_1_2_is_refused_and_1_3_is_not(broker, analyst_credentials, tmp_path):
    """The same way, but for the version: so the refusal is for the version alone."""
    async with forwarder(broker, analyst_credentials, tmp_path, ssl.TLSVersion.TLSv1_2) as (address, spoken):
        error = await asked(grpc.aio.insecure_channel(address))
    assert spoken == ["TLSv1.2"]
    assert type(error) is VersionMismatch
    assert error.code == "tls_too_old"
    assert broker.analysts.calls == []
    async with forwarder(broker, analyst_credentials, tmp_path, ssl.TLSVersion.TLSv1_3) as (address, spoken):
        assert await asked(grpc.aio.insecure_channel(address)) is None
    assert spoken == ["TLSv1.3"]
    assert broker.analysts.calls == [("submit", analyst_credentials.name, "spec")]


@pytest.mark.parametrize("spoken", [(), (b"TLSv1.2",), (b"TLSv1.3", b"TLSv1.2"), (b"",)])
def test_whatever_is_not_exactly_tls_1_3_is_refused(spoken):
    with pytest.raises(VersionMismatch):
        peers.require_tls13({"ssl_tls_version": spoken})
    peers.require_tls13({"ssl_tls_version": (b"TLSv1.3",)})


def test_the_name_is_read_from_the_certificate(analyst_credentials, realm):
    shown = {
        "x509_pem_cert": (analyst_credentials.certificate_pem,),
        "peer_spiffe_id": (b"spiffe://a/org/b/node/c",),
    }
    serial = analyst_credentials.certificate.serial_number
    expires = analyst_credentials.certificate.not_valid_after_utc.timestamp()
    caller = peers.identify(shown, realm.trust_domain, time.time())
    assert caller == peers.Caller(analyst_credentials.name, expires, serial)
    with pytest.raises(IdentityInvalid) as caught:
        peers.identify(shown, realm.trust_domain, time.time(), {serial}.__contains__)
    assert caught.value.code == "certificate_revoked"


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ({}, "certificate_missing"),
        ({"x509_pem_cert": ()}, "certificate_missing"),
        ({"x509_pem_cert": (b"a", b"b")}, "certificate_missing"),
        ({"x509_pem_cert": (b"not a certificate",)}, "certificate_unnamed"),
    ],
)
def test_a_connection_without_one_readable_certificate_names_nobody(shown, code):
    with pytest.raises(IdentityInvalid) as caught:
        peers.identify(shown, "test.example", 0.0)
    assert caught.value.code == code


def test_a_root_names_no_party(realm):
    with pytest.raises(IdentityInvalid) as caught:
        peers.identify({"x509_pem_cert": (realm.root_pem,)}, realm.trust_domain, time.time())
    assert caught.value.code == "certificate_unnamed"


@pytest.mark.parametrize("role", [None, Role.NODE])
def test_roles(role):
    node = PartyName("test.example", "org", Role.NODE, "n")
    broker = PartyName("test.example", "org", Role.BROKER, "n")
    peers.require_role(node, role, "NodeService")
    if role is None:
        peers.require_role(broker, role, "CatalogueService")
    else:
        with pytest.raises(NotAuthorised):
            peers.require_role(broker, role, "NodeService")
