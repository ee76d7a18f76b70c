"""Why nobody can be reached, in plain words.

gRPC tells a refused connection, an unknown host, a foreign certificate and a refused one by texts that change
with its releases, or by "Socket closed". So the same way is walked once more without gRPC, step by step:
resolve and connect (TCP, or a tunnel by the proxy that gRPC asks), then shake hands (TLS, showing no
certificate). The first step that fails is the reason.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import Final

from cryptography import x509

from kapok.errors import IdentityInvalid, KapokError, TimedOut, Unavailable
from kapok.wire.address import Address
from kapok.wire.proxy import Streams, proxy_for, tunnel

__all__ = ["certificate_refused", "too_slow", "why_unreachable"]

_PATIENCE_S: Final = 3.0

# OpenSSL, include/openssl/x509_vfy.h
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_HOST_DIFFERS: Final = frozenset({62, 64})


async def why_unreachable(
    address: Address, root_pem: bytes, certificate_pem: bytes | None = None
) -> KapokError | None:
    """Find the reason; None when connection and handshake work as far as can be seen from this side.

    Args:
        address: Whom to reach.
        root_pem: The root that the service's certificate must lead to.
        certificate_pem: This party's own, where it shows one: its date is looked at last.
    """
    failed = await _try_tcp(address) or await _try_tls(address, root_pem)
    if failed is None and certificate_pem is not None:
        return _own_certificate(certificate_pem)
    return failed


def certificate_refused(address: Address, *, shown: bool) -> IdentityInvalid:
    """The error for a service that ends the connection once it should have seen a certificate.

    Args:
        address: The service's.
        shown: Whether this party has shown one.
    """
    if not shown:
        return IdentityInvalid(
            f"{address} asks for a certificate: it is not where an authority enrols",
            code="certificate_wanted",
            remedy="ask whoever gave the token for one with the authority's own address",
        )
    return IdentityInvalid(
        f"{address} does not accept this party's certificate",
        code="certificate_refused",
        remedy="enrol anew with the authority that the service trusts: `kapok enroll TOKEN`",
    )


def too_slow(address: Address) -> TimedOut:
    """The error for a service that accepts connections and does not shake hands."""
    return TimedOut(
        f"{address} did not finish the TLS handshake in time",
        code="handshake_timed_out",
        remedy="check that a Kapok service is there, and whether it is overloaded; try again later",
    )


async def _try_tcp(address: Address) -> KapokError | None:
    reached = await _reach(address)
    if isinstance(reached, KapokError):
        return reached
    await _close(reached[1])
    return None


async def _reach(address: Address) -> Streams | KapokError:
    if (proxy := proxy_for(address)) is not None:
        return await tunnel(proxy, address, _PATIENCE_S)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await asyncio.open_connection(address.host, address.port)
    except socket.gaierror:
        return Unavailable(
            f"the host of {address} is not known",
            code="unknown_host",
            remedy="check the spelling of the address, and that names are resolved here",
        )
    except (OSError, TimeoutError):
        return Unavailable(
            f"nobody answers at {address}",
            code="nobody_answers",
            remedy="check the address, that the service runs, and that no firewall is in between",
        )


async def _try_tls(address: Address, root_pem: bytes) -> KapokError | None:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        context.load_verify_locations(cadata=root_pem.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError):
        return IdentityInvalid(
            "the root certificate cannot be used for TLS",
            code="root_unusable",
            remedy="enrol anew: `kapok enroll TOKEN`",
        )
    reached = await _reach(address)
    if isinstance(reached, KapokError):
        return reached
    _, writer = reached
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await writer.start_tls(context, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        return _their_certificate(address, error.verify_code)
    except TimeoutError:
        return too_slow(address)
    except (OSError, EOFError):
        return Unavailable(
            f"what answers at {address} does not speak TLS 1.3",
            code="not_kapok",
            remedy="check the port: it must be that of a Kapok service",
        )
    finally:
        await _close(writer)
    return None


def _their_certificate(address: Address, verify_code: int) -> IdentityInvalid:
    if verify_code in _HOST_DIFFERS:
        return IdentityInvalid(
            f"the certificate of what answers at {address} is not for the host {address.host}",
            code="service_host_differs",
            remedy="use a host name or address that the service was enrolled with, or enrol it with this one",
        )
    if verify_code in (_EXPIRED, _NOT_YET_VALID):
        return IdentityInvalid(
            f"the certificate of what answers at {address} is not valid today",
            code="service_certificate_expired",
            remedy="check this machine's clock; if it is right, the service must enrol anew",
        )
    return IdentityInvalid(
        f"the certificate of what answers at {address} is not one of a service enrolled with our authority",
        code="service_certificate_foreign",
        remedy="check the address; if it is right, enrol with the authority that the service trusts",
    )


def _own_certificate(certificate_pem: bytes) -> IdentityInvalid | None:
    try:
        expires = x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc.timestamp()
    except ValueError:
        return IdentityInvalid(
            "this party's certificate cannot be read", remedy="enrol anew: `kapok enroll TOKEN`"
        )
    if time.time() < expires:
        return None
    return IdentityInvalid(
        "this party's certificate has expired",
        code="certificate_expired",
        remedy="enrol anew: `kapok enroll TOKEN`",
    )


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close without waiting for a farewell: a service that wants a client certificate ends with an alert."""
    writer.transport.abort()
    await asyncio.sleep(0)
