"""A broker proves with which certificate it answers: a revoked one is left, whoever stands in between."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import pytest

from kapok.broker.greeter import Greeter
from kapok.documents.envelope import JwsSigner
from kapok.documents.statements import GREETING_TYP, JOB_TYP, Greeting
from kapok.errors import IdentityInvalid, InvalidInput, Unavailable
from kapok.identity.issuing import revocation_list
from kapok.identity.names import Role
from kapok.identity.revocation import Revocations
from kapok.wire import version
from kapok.wire.channel import connect
from kapok.wire.dialler import Dialler
from kapok.wire.greeting import check_broker
from kapok.wire.messages import Greeted
from kapok.wire.server import serve


def listed(realm, *credentials, number=1) -> bytes:
    serials = dict.fromkeys((one.certificate.serial_number for one in credentials), time.time())
    return revocation_list(realm.key, realm.root, serials, number=number, now=time.time(), days=30)


def known(credentials, der=None) -> Revocations:
    return Revocations(credentials.root, der)


async def test_a_broker_that_is_not_revoked_is_stayed_with_and_its_list_is_taken(
    broker, realm, analyst, analyst_credentials, broker_credentials
):
    other = realm.credentials(Role.BROKER, "other")
    revocations = known(analyst_credentials)
    await check_broker(analyst, analyst_credentials, revocations)
    assert revocations.current is None
    handed_on = known(broker_credentials, listed(realm, other, number=7))
    broker.catalogue.greeter = Greeter(lambda: broker_credentials, handed_on)
    await check_broker(analyst, analyst_credentials, revocations)
    assert revocations.current.number == 7
    nonces = [call[2] for call in broker.catalogue.calls if call[0] == "greet"]
    assert len(set(nonces)) == 2


async def test_who_knows_a_newer_list_than_the_broker_brings_it(
    broker, realm, analyst, analyst_credentials, broker_credentials
):
    """As after a broker was restored from a copy: nobody waits for the authority to send it again."""
    older, newer = (listed(realm, realm.credentials(Role.NODE, "x"), number=number) for number in (3, 4))
    for has in (None, older, newer):
        broker.catalogue.greeter = Greeter(lambda: broker_credentials, known(broker_credentials, has))
        await check_broker(analyst, analyst_credentials, known(analyst_credentials, newer))
    brought = [call[2] for call in broker.catalogue.calls if call[0] == "revocations"]
    assert brought == [newer, newer]

    # One that takes no list is stayed with: it withholds it, as it may everything.
    async def refuses(_caller, _der):
        raise Unavailable("not now", code="store_unavailable")

    broker.catalogue.greeter = Greeter(lambda: broker_credentials, known(broker_credentials))
    broker.catalogue.publish_revocations = refuses
    await check_broker(analyst, analyst_credentials, known(analyst_credentials, newer))


async def test_a_revoked_broker_is_refused_and_the_next_is_dialled(
    broker, realm, analyst_credentials, broker_credentials
):
    second_credentials = realm.credentials(Role.BROKER, "second", hosts=("127.0.0.1",))
    broker.catalogue.greeter = Greeter(lambda: broker_credentials, known(broker_credentials))
    handlers = type(broker.catalogue)()
    handlers.greeter = Greeter(lambda: second_credentials, known(second_credentials))
    second = await serve(
        second_credentials,
        "127.0.0.1:0",
        replace(broker.handlers, catalogue=handlers),
    )
    revocations = known(analyst_credentials, listed(realm, broker_credentials))
    with pytest.raises(IdentityInvalid) as caught:
        await Dialler().connect_any(analyst_credentials, (broker.address,), revocations=revocations)
    assert (caught.value.code, caught.value.party) == ("certificate_revoked", str(broker_credentials.name))
    places = (broker.address, second.address)
    async with await Dialler().connect_any(analyst_credentials, places, revocations=revocations) as line:
        assert line.address == second.address
    await second.stop(0)


async def test_a_broker_that_hands_on_the_list_with_itself_is_left_too(
    broker, realm, analyst, analyst_credentials, broker_credentials
):
    handed_on = known(broker_credentials, listed(realm, broker_credentials))
    broker.catalogue.greeter = Greeter(lambda: broker_credentials, handed_on)
    revocations = known(analyst_credentials)
    with pytest.raises(IdentityInvalid) as caught:
        await check_broker(analyst, analyst_credentials, revocations)
    assert caught.value.code == "certificate_revoked"
    assert revocations.current is not None


def signed(credentials, caller, nonce, typ=GREETING_TYP) -> str:
    return JwsSigner(credentials).sign(typ, msgspec.json.encode(Greeting(str(caller), nonce)))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("relayed", "broker_unproven"),
        ("replayed", "broker_unproven"),
        ("of a node", "broker_unproven"),
        ("of another type", "wrong_typ"),
        ("of another root", "foreign_certificate"),
        ("no statement", "broker_unproven"),
    ],
)
async def test_the_signature_of_another_broker_does_not_help_a_revoked_one(
    broker,
    realm,
    foreign_realm,
    analyst,
    analyst_credentials,
    node_credentials,
    broker_credentials,
    what,
    code,
):
    """It has its own key alone: what a good broker signs is for whoever called that broker, and for once."""
    good = realm.credentials(Role.BROKER, "good")

    class Thief:
        def greet(self, caller, nonce):
            return Greeted(
                {
                    # The good broker signs for the one that TLS shows to it: the thief.
                    "relayed": lambda: signed(good, broker_credentials.name, nonce),
                    "replayed": lambda: signed(good, caller, b"\x00" * 32),
                    "of a node": lambda: signed(node_credentials, caller, nonce),
                    "of another type": lambda: signed(good, caller, nonce, JOB_TYP),
                    "of another root": lambda: signed(
                        foreign_realm.credentials(Role.BROKER, "good"), caller, nonce
                    ),
                    "no statement": lambda: JwsSigner(good).sign(GREETING_TYP, b"{}"),
                }[what](),
                None,
            )

    broker.catalogue.greeter = Thief()
    with pytest.raises(IdentityInvalid) as caught:
        await check_broker(analyst, analyst_credentials, known(analyst_credentials))
    assert caught.value.code == code


async def test_a_broker_of_an_earlier_release_is_let_pass_as_long_as_nobody_is_revoked(
    broker, realm, analyst, analyst_credentials, broker_credentials
):
    class Earlier:
        def greet(self, _caller, _nonce):
            raise version.foreign_service("it")

    broker.catalogue.greeter = Earlier()
    await check_broker(analyst, analyst_credentials, known(analyst_credentials))
    other = realm.credentials(Role.BROKER, "other")
    with pytest.raises(IdentityInvalid) as caught:
        await check_broker(analyst, analyst_credentials, known(analyst_credentials, listed(realm, other)))
    assert caught.value.code == "broker_unproven"


async def test_a_broker_signs_for_once_and_nothing_else(broker, analyst):
    for nonce in (b"", b"x" * 31, b"x" * 33):
        with pytest.raises(InvalidInput) as caught:
            await analyst.catalogue.greet(nonce)
        assert caught.value.code == "bad_nonce"
    assert broker.catalogue.calls == []


async def test_the_line_to_a_broker_that_proves_nothing_is_closed(broker, analyst_credentials):
    broker.catalogue.raises = Unavailable("away")
    with pytest.raises(Unavailable, match="away"):
        await Dialler().connect_any(
            analyst_credentials, (broker.address,), revocations=known(analyst_credentials)
        )
    async with await connect(analyst_credentials, broker.address):
        pass
