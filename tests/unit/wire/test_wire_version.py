"""The version handshake, with the version altered on either side."""

from __future__ import annotations

import grpc
import pytest

from kapok.errors import VersionMismatch
from kapok.wire import failures, version
from kapok.wire.channel import connect
from kapok.wire.v1 import catalogue_pb2

PUBLISH = "/kapok.wire.v1.CatalogueService/PublishDataset"


async def refusal(broker, realm, credentials, metadata) -> VersionMismatch:
    """What the broker says to a caller with that metadata."""
    shown = grpc.ssl_channel_credentials(
        credentials.root_pem, credentials.key_pem(), credentials.certificate_pem
    )
    async with grpc.aio.secure_channel(broker.address, shown) as channel:
        call = channel.unary_unary(PUBLISH)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(
                catalogue_pb2.PublishDatasetRequest().SerializeToString(), metadata=metadata, timeout=10
            )
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert (version.KEY, str(version.WIRE_VERSION)) in tuple(caught.value.initial_metadata())
    return failures.carried(tuple(caught.value.trailing_metadata()))


@pytest.mark.parametrize(("theirs", "side"), [(0, "caller"), (version.WIRE_VERSION + 1, "service")])
async def test_the_broker_refuses_another_version(broker, realm, analyst_credentials, theirs, side):
    error = await refusal(broker, realm, analyst_credentials, ((version.KEY, str(theirs)),))
    assert type(error) is VersionMismatch
    assert f"version {theirs} " in error.message
    assert f"version {version.WIRE_VERSION}" in error.message
    assert error.code == "wire_version_mismatch"
    assert f"upgrade Kapok on the {side}'s side" == error.remedy
    assert broker.catalogue.calls == []


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        ((version.KEY, ""),),
        ((version.KEY, "one"),),
        ((version.KEY, "9" * 5000),),
        ((version.KEY, "1"), (version.KEY, "1")),
    ],
    ids=["none", "empty", "word", "huge", "twice"],
)
async def test_the_broker_refuses_a_caller_without_a_version(broker, realm, analyst_credentials, metadata):
    error = await refusal(broker, realm, analyst_credentials, metadata)
    assert error.code == "wire_version_missing"
    assert broker.catalogue.calls == []


async def answering(credentials, metadata):
    """A server with a good certificate that answers everything, with that initial metadata."""

    async def one(_request, context):
        await context.send_initial_metadata(metadata)
        return catalogue_pb2.PublishDatasetResponse(dataset_hash="ab").SerializeToString()

    async def many(_request, context):
        # As the gate does: of a stream without answers gRPC sometimes tells the end alone.
        context.set_trailing_metadata(metadata)
        await context.send_initial_metadata(metadata)

    handlers = {
        "PublishDataset": grpc.unary_unary_rpc_method_handler(one),
        "ListDatasets": grpc.unary_stream_rpc_method_handler(many),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("kapok.wire.v1.CatalogueService", handlers),)
    )
    tls = grpc.ssl_server_credentials(
        [(credentials.key_pem(), credentials.certificate_pem)], credentials.root_pem, True
    )
    port = server.add_secure_port("127.0.0.1:0", tls)
    await server.start()
    return server, f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        (((version.KEY, "0"),), "the service at"),
        (((version.KEY, "7"),), "this side"),
        ((), "the same release"),
    ],
    ids=["older", "newer", "none"],
)
async def test_a_caller_refuses_an_answer_of_another_version(
    broker_credentials, analyst_credentials, metadata, who
):
    server, address = await answering(broker_credentials, metadata)
    async with await connect(analyst_credentials, address) as connection:
        for call in (connection.catalogue.publish_dataset("x"), connection.catalogue.datasets()):
            with pytest.raises(VersionMismatch) as caught:
                await call
            assert caught.value.code == ("wire_version_mismatch" if metadata else "wire_version_missing")
            assert who in caught.value.remedy
            assert f"version {version.WIRE_VERSION}" in caught.value.message
            assert not metadata or f"version {metadata[0][1]} " in caught.value.message
    await server.stop(0)


async def test_a_service_that_does_not_know_a_method_speaks_another_version(
    broker_credentials, analyst_credentials
):
    server, address = await answering(broker_credentials, version.STAMP)
    async with await connect(analyst_credentials, address) as connection:
        assert await connection.catalogue.publish_dataset("x") == "ab"
        with pytest.raises(VersionMismatch):
            await connection.analyst.submit("spec")
    await server.stop(0)
