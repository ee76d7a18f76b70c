"""Enrolment: server-authenticated TLS, for those who have no certificate yet."""

from __future__ import annotations

import grpc
import pytest

from kapok.errors import IdentityInvalid, InvalidInput, Unavailable
from kapok.identity.names import Role
from kapok.wire.channel import connect, enrol_call
from kapok.wire.server import serve_enrolment


class Handler:
    """Knows one token."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []

    async def enrol(self, secret: bytes, csr_der: bytes) -> bytes:
        self.asked.append((secret, csr_der))
        if secret != b"right":
            raise IdentityInvalid("the token is spent", code="token_spent", remedy="ask for another")
        return b"certificate for " + csr_der


@pytest.fixture
async def authority(realm):
    credentials = realm.credentials(Role.AUTHORITY, "authority")
    handler = Handler()
    server = await serve_enrolment(credentials.key_pem(), credentials.certificate_pem, "127.0.0.1:0", handler)
    yield server, handler
    await server.stop(0)


async def test_a_token_is_spent_without_a_certificate(authority, realm):
    server, handler = authority
    assert await enrol_call(server.address, realm.root_pem, b"right", b"csr") == b"certificate for csr"
    assert handler.asked == [(b"right", b"csr")]


async def test_what_the_authority_refuses_is_raised_here(authority, realm):
    server, _ = authority
    with pytest.raises(IdentityInvalid) as caught:
        await enrol_call(server.address, realm.root_pem, b"wrong", b"csr")
    assert caught.value.code == "token_spent"
    assert caught.value.remedy == "ask for another"


async def test_an_authority_under_another_root_gets_no_token(authority, foreign_realm):
    server, handler = authority
    with pytest.raises(IdentityInvalid) as caught:
        await enrol_call(server.address, foreign_realm.root_pem, b"right", b"csr")
    assert caught.value.code == "service_certificate_foreign"
    assert handler.asked == []


async def test_a_root_that_is_none_is_told(authority):
    server, handler = authority
    with pytest.raises(IdentityInvalid) as caught:
        await enrol_call(server.address, b"not a certificate", b"right", b"csr")
    assert caught.value.code == "root_unusable"
    assert handler.asked == []


async def test_an_authority_that_is_away_is_told(authority, realm):
    server, _ = authority
    await server.stop(0)
    with pytest.raises(Unavailable) as caught:
        await enrol_call(server.address, realm.root_pem, b"right", b"csr")
    assert caught.value.code == "nobody_answers"


async def test_a_request_over_the_authoritys_bound_is_refused(authority, realm):
    server, handler = authority
    with pytest.raises(InvalidInput) as caught:
        await enrol_call(server.address, realm.root_pem, b"right", b"c" * 70_000)
    assert caught.value.code == "message_too_large"
    assert handler.asked == []


async def test_the_authority_serves_nothing_else_and_the_broker_no_enrolment(
    authority, broker, realm, analyst_credentials
):
    server, _ = authority
    async with await connect(analyst_credentials, server.address) as connection:
        with pytest.raises(Exception, match="wire") as caught:
            await connection.analyst.submit("spec")
        assert caught.value.code == "wire_version_missing"
    with pytest.raises(IdentityInvalid) as caught:
        await enrol_call(broker.address, realm.root_pem, b"right", b"csr")
    assert caught.value.code == "certificate_wanted"


async def test_a_key_of_another_certificate_cannot_serve(realm):
    key_of_one = realm.credentials(Role.AUTHORITY, "one").key_pem()
    other = realm.credentials(Role.AUTHORITY, "other").certificate_pem
    for key, chain in ((key_of_one, other), (b"no key", other), (key_of_one, b"no certificate")):
        with pytest.raises(IdentityInvalid) as caught:
            await serve_enrolment(key, chain, "127.0.0.1:0", Handler())
        assert caught.value.remedy


async def test_the_authority_speaks_tls_1_3_without_asking_for_a_certificate(authority, realm):
    server, _ = authority
    async with grpc.aio.secure_channel(
        server.address, grpc.ssl_channel_credentials(realm.root_pem)
    ) as channel:
        await channel.channel_ready()
