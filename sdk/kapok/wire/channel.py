"""Connections: from a node or an analyst to the broker, and from a newcomer to the authority.

    async with await connect(credentials, "broker.example.org:7443") as broker:
        async for assignment in broker.node.watch(): …

A connection mends itself after the broker was away; calls meanwhile raise `Unavailable`, with the reason.
Trying again, with back-off and jitter, is the caller's.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

import grpc

from kapok.wire.address import Address
from kapok.wire.clients import (
    AnalystClient,
    CatalogueClient,
    EnrolmentClient,
    HealthClient,
    NodeClient,
    OfficerClient,
)
from kapok.wire.diagnosis import certificate_refused, too_slow, why_unreachable
from kapok.wire.limits import Limits
from kapok.wire.traffic import Traffic
from kapok.wire.transport import Transport
from kapok.wire.version import About

if TYPE_CHECKING:
    from kapok.identity.credentials import Credentials

__all__ = ["Connection", "connect", "enrol_call", "enrolment_health"]

_PATIENCE_S: Final = 5.0
_TRIES: Final = 3
_PAUSE_S: Final = 0.2
_OPTIONS: Final = (
    # A connection is dead when a probe is not answered. For how long that is waited says the second timeout,
    # which by itself is a minute, whatever the first one says. Not much less than this: on a slow line a
    # probe waits behind what is being uploaded.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # No pings that probe for bandwidth: they come with the data that is read, several a second. Where a party
    # reads late what was written long ago, the broker takes them for too many, and hangs up. So the window
    # is fixed: 20 MB/s at 50 ms round trip.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 1024 * 1024),
    # A broker that comes back is found within two seconds; the caller's own back-off spaces the calls.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Whether to try again is decided above: a call that may have arrived is not repeated unasked.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Connection:
    """An open connection to a broker, with the verbs of its handlers. Close it, or use it in ``async with``.

    Attributes:
        address: The broker's.
        catalogue: Datasets, for every role.
        analyst: Jobs, for analysts.
        node: Assignments, for nodes.
        officer: Cohorts, for officers.
        health: Whether the broker can do its work, for every role.
    """

    __slots__ = ("_transport", "address", "analyst", "catalogue", "health", "node", "officer")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.address = str(transport.address)
        self.catalogue = CatalogueClient(transport)
        self.analyst = AnalystClient(transport)
        self.node = NodeClient(transport)
        self.officer = OfficerClient(transport)
        self.health = HealthClient(transport)

    @property
    def traffic(self) -> Traffic:
        """Messages and bytes so far."""
        return self._transport.traffic

    async def close(self) -> None:
        """End the connection; calls still open raise `Unavailable`, ``connection_closed``."""
        await self._transport.channel.close(None)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()


async def connect(
    credentials: Credentials, address: str, *, timeout_s: float = _PATIENCE_S, limits: Limits | None = None
) -> Connection:
    """Connect to a broker with mutual TLS; return once the handshake is done.

    Args:
        credentials: This party's own.
        address: ``host:port``; the host must be one that the broker's certificate names.
        timeout_s: Longest wait for the handshake, in seconds.
        limits: How long calls may take and how large messages may be.

    Raises:
        Unavailable: ``unknown_host``, ``nobody_answers``, ``not_kapok``.
        TimedOut: ``handshake_timed_out``.
        IdentityInvalid: ``service_certificate_foreign``, ``service_certificate_expired``,
            ``service_host_differs``, ``certificate_refused``, ``certificate_expired``.
        InvalidInput: ``bad_address``.
    """
    credentials.check_dates(time.time())
    tls = grpc.ssl_channel_credentials(
        credentials.root_pem, credentials.key_pem(), credentials.certificate_pem
    )
    transport = await _open(
        tls, Address.parse(address), credentials.root_pem, credentials.certificate_pem, timeout_s, limits
    )
    return Connection(transport)


async def enrol_call(
    address: str, root_pem: bytes, secret: bytes, csr_der: bytes, *, timeout_s: float = _PATIENCE_S
) -> bytes:
    """Spend a one-time token at the authority; return the certificate for the key in the request, DER.

    Args:
        address: The authority's, from the token.
        root_pem: The root that its certificate must lead to, from the token.
        secret: The token's.
        csr_der: PKCS #10, DER.
        timeout_s: Longest wait for the handshake, in seconds.

    Raises:
        Unavailable: as in `connect`.
        IdentityInvalid: as in `connect`, or the authority does not take the token.
    """
    tls = grpc.ssl_channel_credentials(root_pem)
    transport = await _open(tls, Address.parse(address), root_pem, None, timeout_s, None)
    try:
        return await EnrolmentClient(transport).enrol(secret, csr_der)
    finally:
        await transport.channel.close(None)


async def enrolment_health(
    address: str, root_pem: bytes, *, timeout_s: float = _PATIENCE_S
) -> tuple[bool, About]:
    """Whether an authority serves; what it says of itself is nothing but that.

    Args:
        address: The authority's.
        root_pem: The root that its certificate must lead to.
        timeout_s: Longest wait for the handshake, in seconds.

    Raises:
        KapokError: as `enrol_call`.
    """
    tls = grpc.ssl_channel_credentials(root_pem)
    transport = await _open(tls, Address.parse(address), root_pem, None, timeout_s, None)
    try:
        return await HealthClient(transport).check()
    finally:
        await transport.channel.close(None)


async def _open(
    tls: grpc.ChannelCredentials,
    address: Address,
    root_pem: bytes,
    certificate_pem: bytes | None,
    timeout_s: float,
    limits: Limits | None,
) -> Transport:
    """Open a channel that has shaken hands.

    A service that refuses this party's certificate looks, from here, like one that went away in that instant:
    so that is said only when it has happened several times in a row.
    """
    limits = limits or Limits()
    for _ in range(_TRIES):
        channel = grpc.aio.secure_channel(str(address), tls, options=_options(address, limits, timeout_s))
        transport = Transport(
            channel=channel,
            address=address,
            root_pem=root_pem,
            certificate_pem=certificate_pem,
            limits=limits,
        )
        try:
            state = await _settled(channel, timeout_s)
        except BaseException:
            await channel.close(None)
            raise
        if state is grpc.ChannelConnectivity.READY:
            return transport
        await channel.close(None)
        reason = await why_unreachable(address, root_pem, certificate_pem)
        if reason is None and state is None:
            reason = too_slow(address)
        if reason is not None:
            raise reason
        await asyncio.sleep(_PAUSE_S)
    raise certificate_refused(address, shown=certificate_pem is not None)


def _options(address: Address, limits: Limits, timeout_s: float) -> list[tuple[str, int]]:
    options = [
        *_OPTIONS,
        # For so long gRPC tries one handshake. Not less than we do: where it gave up first, a service that is
        # slow would look like one that ends the connection.
        ("grpc.min_reconnect_backoff_ms", int((timeout_s + _PAUSE_S) * 1000)),
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
    ]
    if address.is_loopback:
        options.append(("grpc.enable_http_proxy", 0))
    return options


async def _settled(channel: grpc.aio.Channel, timeout_s: float) -> grpc.ChannelConnectivity | None:
    """The first state that is not on the way to another; None when there is none in time."""
    try:
        async with asyncio.timeout(timeout_s):
            state = channel.get_state(try_to_connect=True)
            while state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING):
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
            return state
    except TimeoutError:
        return None
