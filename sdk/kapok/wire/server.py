"""Servers: the broker's (mutual TLS) and the authority's (TLS for those without certificates).

    running = await serve(credentials, "0.0.0.0:7443", BrokerHandlers(…))
    …
    await running.stop(grace_s=5)

The least version of TLS cannot be set through gRPC: `kapok.wire.gate` refuses calls below 1.3.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import grpc

from kapok.errors import IdentityInvalid, InvalidInput
from kapok.wire.address import Address
from kapok.wire.gate import Gate
from kapok.wire.handlers import (
    BrokerHandlers,
    EnrolmentHandler,
)
from kapok.wire.health import Health, health_service
from kapok.wire.limits import Limits
from kapok.wire.messages import MOST_CHUNK_BYTES
from kapok.wire.services import Service, broker_services, enrolment_service
from kapok.wire.traffic import Traffic

if TYPE_CHECKING:
    from kapok.identity.credentials import Credentials
    from kapok.identity.revocation import Revocations

__all__ = ["ENROLMENT_LIMITS", "Limits", "RunningServer", "serve", "serve_enrolment", "why_not_listening"]

ENROLMENT_LIMITS: Final = Limits(
    message_bytes=64 * 1024, concurrent_calls=64, calls_of_one=8, unary_s=10, transfer_s=10
)
"""The authority answers strangers: less of everything, and of each network some of it."""

_KEEPALIVE: Final = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Clients of Kapok ping every 20 s; whoever pings much more often is cut off.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)

# Who has opened a connection and shown no certificate is nobody and holds a file: not for gRPC's two minutes.
_HANDSHAKE: Final = (("grpc.server_handshake_timeout_ms", 10_000),)

# A fixed window for each stream: what a client may send before it is read. gRPC would let it grow to
# megabytes, and hundreds of uploads at once to gigabytes. It allows each 5 MB/s at 50 ms round trip.
_FLOW_CONTROL: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", MOST_CHUNK_BYTES))


@dataclass(slots=True, kw_only=True)
class RunningServer:
    """A server that listens.

    Attributes:
        address: Where, with the port that was given or picked.
        traffic: Messages and bytes so far.
        health: What it answers to probes.
    """

    address: str
    port: int
    traffic: Traffic
    health: Health
    _server: grpc.aio.Server = field(repr=False)
    _gate: Gate = field(repr=False)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take no more calls, end watches at once, give the others `grace_s` seconds; all have ended then."""
        self.health.drain()
        self._gate.stopping.set()
        await self._server.stop(grace_s)
        await self._gate.put_away()


async def serve(
    credentials: Credentials,
    address: str,
    handlers: BrokerHandlers,
    *,
    limits: Limits | None = None,
    current: Callable[[], Credentials] | None = None,
    revocations: Revocations | None = None,
) -> RunningServer:
    """Serve the four services of the broker with mutual TLS, and beside them health and reflection.

    Args:
        credentials: The broker's own: certificate, key, and the root that callers' certificates must lead to.
        address: ``host:port``; port 0 for any free one.
        handlers: What stands behind the services.
        limits: What the server bears; `Limits()` by default.
        current: Gives the credentials to show at each handshake, where they may be renewed meanwhile.
        revocations: Whose certificates are good no longer.

    Raises:
        InvalidInput: ``bad_address``, ``port_in_use``, ``port_forbidden``.
        IdentityInvalid: ``identity_invalid``, when key and certificate cannot be used for TLS.
    """
    # Only a broker's installation has the library.
    from kapok.wire.reflection import reflection_service

    tls = _renewable_tls(current or (lambda: credentials))
    gate = Gate(
        trust_domain=credentials.name.trust_domain, limits=limits or Limits(), revocations=revocations
    )
    services = broker_services(handlers)
    names = [service.descriptor.full_name for service in services]
    health = Health(names)
    beside = health_service(health, endless=True)
    shown = reflection_service((*names, beside.descriptor.full_name))
    return await _start(gate, tls, Address.parse(address), health, (*services, beside, shown))


async def serve_enrolment(
    server_key: bytes,
    server_chain: bytes,
    address: str,
    handler: EnrolmentHandler,
    *,
    limits: Limits = ENROLMENT_LIMITS,
) -> RunningServer:
    """Serve the authority's enrolment, and health: TLS in which the server alone shows a certificate.

    Args:
        server_key: Private key, PEM (PKCS #8, unencrypted).
        server_chain: Certificate, then those between it and the root, PEM.
        address: ``host:port``; port 0 for any free one.
        handler: Spends tokens.
        limits: What the server bears.

    Raises:
        InvalidInput: ``bad_address``, ``port_in_use``, ``port_forbidden``.
        IdentityInvalid: ``identity_invalid``, when key and certificate cannot be used for TLS.
    """
    gate = Gate(trust_domain=None, limits=limits)
    tls = _server_tls(server_key, server_chain)
    enrolment = enrolment_service(handler)
    health = Health([enrolment.descriptor.full_name])
    services = (enrolment, health_service(health, endless=False))
    return await _start(gate, tls, Address.parse(address), health, services)


def _renewable_tls(current: Callable[[], Credentials]) -> grpc.ServerCredentials:
    """Mutual TLS that shows at each handshake the certificate of then. gRPC asks in its own thread."""
    shown = current()

    def configuration(credentials: Credentials) -> grpc.ServerCertificateConfiguration:
        pair = (credentials.key_pem(), credentials.certificate_pem)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=credentials.root_pem)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        now = current()
        if now is shown:
            return None
        shown = now
        return configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        configuration(shown),
        renewed,  # type: ignore[arg-type]  # None stands for no change, says gRPC's manual
        require_client_authentication=True,
    )


def _server_tls(key: bytes, chain: bytes) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(key, chain)])


async def _start(
    gate: Gate, tls: grpc.ServerCredentials, address: Address, health: Health, services: tuple[Service, ...]
) -> RunningServer:
    limits = gate.limits
    server = grpc.aio.server(
        handlers=[gate.handlers(service) for service in services],
        maximum_concurrent_rpcs=limits.concurrent_calls,
        options=[
            *_KEEPALIVE,
            *_HANDSHAKE,
            *_FLOW_CONTROL,
            # Without it a second server on the same port starts too, and gets half of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", limits.message_bytes),
            ("grpc.max_send_message_length", limits.message_bytes),
        ],
    )
    try:
        port = server.add_secure_port(str(address), tls)
    except RuntimeError:
        raise _cannot_listen(address) from None
    if not port:
        raise _cannot_listen(address)
    await server.start()
    return RunningServer(
        address=str(Address(address.host, port)),
        port=port,
        traffic=gate.traffic,
        health=health,
        _server=server,
        _gate=gate,
    )


def why_not_listening(address: Address) -> InvalidInput | None:
    """Why this process cannot listen there; None where it can. Nobody who connects meanwhile is answered."""
    try:
        family, kind, number, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
            trial.listen(1)
    except socket.gaierror:
        return _unusable(
            address, "bad_address", "is not known to this machine", "give one of its own addresses"
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _unusable(
                address,
                "port_in_use",
                "is in use by another process",
                "end that process, or set another port (0 picks a free one)",
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return _unusable(
                address, "port_forbidden", "may not be opened by this user", "use a port above 1023"
            )
        return _unusable(
            address,
            "bad_address",
            "is not an address of this machine",
            "give one of its own addresses, or 0.0.0.0",
        )
    return None


def _cannot_listen(address: Address) -> InvalidInput | IdentityInvalid:
    """Why a port could not be opened: found by trying the same without TLS."""
    return why_not_listening(address) or IdentityInvalid(
        "this server's certificate and key cannot be used for TLS", remedy="enrol anew: `kapok enroll TOKEN`"
    )


def _unusable(address: Address, code: str, why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{address} {why}", code=code, remedy=remedy)
