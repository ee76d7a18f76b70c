"""With which certificate a broker answers: it proves that, for gRPC does not show it to who dials.

    caller ── nonce ──▶ broker          over TLS, in which both have shown certificates of the same root
           ◀── {caller, nonce} signed, and the newest list of revoked certificates

A broker signs for nobody but the caller whom TLS has shown to it. So whoever stands in between with the key
of a revoked broker cannot get the signature of another: that one would sign for whoever is in between. The
list comes from the broker too, which could withhold it; a caller holds it to every list that it has seen
before, from any broker, and brings it to a broker that has an older one: so a broker whose store was
restored from yesterday's copy has it again as soon as anybody dials. A broker of an earlier release signs
nothing: that is let pass only as long as no list is known.

Source: signed challenge of ISO/IEC 9798-3, unilateral authentication with a nonce, with the verifier's name.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kapok.documents.envelope import JwsVerifier, decode
from kapok.documents.statements import GREETING_TYP, NONCE_BYTES, Greeting
from kapok.errors import IdentityInvalid, KapokError, VersionMismatch
from kapok.identity.names import PartyName, Role
from kapok.identity.revocation import Revocations

if TYPE_CHECKING:
    from kapok.identity.credentials import Credentials
    from kapok.wire.channel import Connection

__all__ = ["check_broker"]

_log = logging.getLogger(__name__)


async def check_broker(
    broker: Connection,
    credentials: Credentials,
    revocations: Revocations,
    clock: Callable[[], float] = time.time,
) -> None:
    """Let a broker that was dialled prove that it is one and is not revoked; take the list that it hands on.

    Args:
        broker: The open connection.
        credentials: This party's own.
        revocations: The newest list that it has seen.
        clock: Seconds since the epoch.

    Raises:
        IdentityInvalid: ``certificate_revoked``; ``broker_unproven``: what was signed is not for this
            connection, or not a broker's; ``bad_revocation_list``.
        KapokError: it cannot be asked.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    try:
        greeted = await broker.catalogue.greet(nonce)
    except VersionMismatch:
        if revocations.current is None:
            return
        raise _unproven(broker.address, "it is of a release that cannot prove it") from None
    if greeted.revocations is not None:
        revocations.take(greeted.revocations)
    verifier = JwsVerifier(credentials.root_pem, clock, revocations.revokes)
    signed = verifier.verify(GREETING_TYP, greeted.greeting)
    try:
        statement = decode(Greeting, signed.payload, party=signed.signer.name)
        role = PartyName.parse(signed.signer.name).role
    except KapokError:
        raise _unproven(broker.address, "what it signed cannot be read") from None
    if role is not Role.BROKER:
        raise _unproven(broker.address, f"a {role} signed for it")
    if (statement.caller, statement.nonce) != (str(credentials.name), nonce):
        raise _unproven(broker.address, "what it signed is for another connection")
    newest = revocations.current
    if newest is not None and newest.der != greeted.revocations:
        await _bring(broker, newest.der)


async def _bring(broker: Connection, der: bytes) -> None:
    """Bring a newer list to a broker; one that does not take it is no worse than one that withholds it."""
    try:
        await broker.catalogue.publish_revocations(der)
    except KapokError as error:
        _log.warning(
            "the broker's list of revocations is older than this party's, and it takes no other",
            extra={"broker": broker.address, "code": error.code},
        )


def _unproven(address: str, why: str) -> IdentityInvalid:
    return IdentityInvalid(
        f"{address} does not prove that it is a broker whose certificate is good: {why}",
        code="broker_unproven",
        remedy="ask the broker's people: it has to be of this release, and nobody may end TLS in between",
    )
