"""Health and reflection: tools that know gRPC and not Kapok are answered, behind the gate of every call."""

import asyncio
import contextlib
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from kapok.errors import NotFound
from kapok.identity.names import Role
from kapok.wire import version
from kapok.wire.channel import connect, enrolment_health
from kapok.wire.server import serve_enrolment

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICES = [f"kapok.wire.v1.{name}Service" for name in ("Catalogue", "Analyst", "Node", "Officer")]


@contextlib.asynccontextmanager
async def plain_channel(realm, address, role=Role.OPERATOR, certificate=None):
    """A channel as any tool opens one: it sends no metadata of Kapok's."""
    key, own = realm.leaf(realm.name(role, "probe"), **(certificate or {}))
    async with grpc.aio.secure_channel(address, realm.shown(key, own)) as channel:
        yield channel


async def reflected(channel, *requests):
    return [answer async for answer in ServerReflectionStub(channel).ServerReflectionInfo(iter(requests))]


@pytest.mark.parametrize("role", [Role.ANALYST, Role.NODE, Role.OFFICER, Role.OPERATOR])
async def test_every_role_is_told_of_the_server_and_of_each_service(broker, realm, role):
    async with plain_channel(realm, broker.address, role) as channel:
        stub = HealthStub(channel)
        for service in ("", *SERVICES):
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(health_pb2.HealthCheckRequest(service="kapok.wire.v1.Nobody"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_party_of_another_trust_domain_is_told_nothing(broker, realm, broker_credentials):
    stranger = realm.leaf(realm.name(Role.NODE, "probe", domain="other.example"))
    async with grpc.aio.secure_channel(broker.address, realm.shown(*stranger)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await reflected(channel, reflection_pb2.ServerReflectionRequest(list_services=""))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_call_of_kapoks_own_services_still_needs_the_wire_version(broker, realm):
    async with plain_channel(realm, broker.address) as channel:
        call = channel.unary_unary("/kapok.wire.v1.CatalogueService/GetDataset")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_watch_follows_and_its_last_word_is_that_the_server_stops(broker, realm):
    async with plain_channel(realm, broker.address) as channel:
        watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICES[2]))
        statuses = aiter(watch)
        assert (await anext(statuses)).status == SERVING
        broker.server.health.report(serving=False)
        assert (await anext(statuses)).status == NOT_SERVING
        broker.server.health.report(serving=True)
        assert (await anext(statuses)).status == SERVING
        stopping = asyncio.create_task(broker.server.stop(30))
        assert [answer.status async for answer in statuses] == [NOT_SERVING]
        await stopping
        broker.server.health.report(serving=True)
        assert broker.server.health.answer("").status == NOT_SERVING


async def test_a_watch_of_a_service_that_is_not_there_says_so_and_goes_on(broker, realm):
    async with plain_channel(realm, broker.address) as channel:
        watch = aiter(HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="nobody")))
        assert (await anext(watch)).status == UNKNOWN
        stopping = asyncio.create_task(broker.server.stop(30))
        assert [answer async for answer in watch] == []
        await stopping


async def test_kapoks_own_client_is_told_release_and_time_too(analyst):
    before = time.time()
    serving, about = await analyst.health.check()
    assert serving
    assert about.release == version.release()
    assert before - 0.001 <= about.time <= time.time() + 0.001
    with pytest.raises(NotFound) as caught:
        await analyst.health.check("nobody")
    assert caught.value.code == "unknown_service"


async def test_other_answers_do_not_carry_release_and_time(broker, analyst_credentials):
    async with await connect(analyst_credentials, broker.address) as connection:
        call = connection._transport.channel.unary_unary("/kapok.wire.v1.CatalogueService/GetDataset")
        made = call(b"", metadata=version.STAMP)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await made
        assert version.read_about(tuple(await made.initial_metadata())) == version.About("", None)


@pytest.mark.parametrize(
    "metadata", [(), (("kapok-time", "nan"),), (("kapok-time", "x"), ("kapok-release", "\x1b[2J" + "9" * 99))]
)
def test_what_a_service_says_of_itself_is_believed_only_where_it_can_be_read(metadata):
    assert version.read_about(metadata) == version.About("", None)


async def test_the_authority_tells_strangers_that_it_serves_and_no_more(realm):
    credentials = realm.credentials(Role.AUTHORITY, "root", hosts=["127.0.0.1"])
    running = await serve_enrolment(credentials.key_pem(), credentials.certificate_pem, "127.0.0.1:0", None)
    try:
        assert await enrolment_health(running.address, realm.root_pem) == (True, version.About("", None))
        async with grpc.aio.secure_channel(
            running.address, grpc.ssl_channel_credentials(realm.root_pem)
        ) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await reflected(channel, reflection_pb2.ServerReflectionRequest(list_services=""))
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        await running.stop(0)


async def test_reflection_shows_services_and_what_proto_says_of_them(broker, realm):
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICES[0]),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="nobody.Here"),
    ]
    async with plain_channel(realm, broker.address, Role.NODE) as channel:
        answers = await reflected(channel, *requests)
    assert {one.name for one in answers[0].list_services_response.service} == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    (shown,) = answers[1].file_descriptor_response.file_descriptor_proto
    assert b"PublishDataset" in shown
    assert answers[2].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
