"""The HTTP proxy that gRPC asks for a tunnel, and why it may not give one.

Which one is gRPC's own rule, read here again so that whoever looks for the cause of a failure goes the same
way. A proxy sees the name and the port that are asked for; TLS is between the ends.

Sources: gRPC, doc/environment_variables.md; RFC 9110, section 9.3.6 (CONNECT).
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from kapok.errors import KapokError, Unavailable
from kapok.wire.address import Address

__all__ = ["Proxy", "Streams", "proxy_for", "tunnel"]

_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTED: Final = ("no_grpc_proxy", "no_proxy")
_PORT: Final = 80
_LONGEST_HEAD: Final = 64 * 1024
_WANTS_PASSWORD: Final = 407

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where tunnels are asked for.

    Attributes:
        address: The proxy's own.
        variable: That named it.
        credentials: User and password, ``user:password``; shown nowhere.
    """

    address: Address
    variable: str
    credentials: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.address} of {self.variable}"


def proxy_for(address: Address, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy by which an address is reached; None where it is dialled itself.

    Args:
        address: Of the service.
        environment: Whose variables count.
    """
    if address.is_loopback:
        return None
    variable = next((name for name in _VARIABLES if environment.get(name)), None)
    excepted = next((environment[name] for name in _EXCEPTED if environment.get(name)), "")
    if variable is None or any(
        address.host.endswith(one.strip()) for one in excepted.split(",") if one.strip()
    ):
        return None
    try:
        url = urlsplit(environment[variable])
        place = Address(url.hostname or "", url.port or _PORT)
    except ValueError:
        return None
    if url.scheme != "http" or not place.host:
        return None
    user = f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username else ""
    return Proxy(place, variable, user)


async def tunnel(proxy: Proxy, address: Address, patience_s: float) -> Streams | KapokError:
    """Ask for a tunnel; return its ends, or why there is none.

    Args:
        proxy: Whom to ask.
        address: Where it is to lead.
        patience_s: Longest wait, in seconds.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(
                proxy.address.host, proxy.address.port, limit=_LONGEST_HEAD
            )
            writer.write(_request(proxy, address))
            head = await reader.readuntil(b"\r\n\r\n")
    except (socket.gaierror, OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
        if writer is not None:
            writer.transport.abort()
        return Unavailable(
            f"{proxy} gives no answer, and {address} is reached by it",
            code="proxy_unreachable",
            remedy=f"see that {proxy.variable} is right; or except the host with no_proxy",
        )
    status = _status(head)
    if 200 <= status < 300:
        return reader, writer
    writer.transport.abort()
    return _refused(proxy, address, status)


def _request(proxy: Proxy, address: Address) -> bytes:
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    if proxy.credentials:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.credentials.encode()).decode()}")
    return "\r\n".join((*lines, "", "")).encode()


def _status(head: bytes) -> int:
    """The answer's number; 0 where it has none: no proxy of HTTP."""
    words = head.split(b" ", 2)
    number = words[1] if len(words) > 1 and words[0].startswith(b"HTTP/1.") else b""
    return int(number) if len(number) == 3 and number.isdigit() else 0


def _refused(proxy: Proxy, address: Address, status: int) -> Unavailable:
    if status == 0:
        what, remedy = "does not speak HTTP", f"see that {proxy.variable} names a proxy"
    elif status == _WANTS_PASSWORD:
        what = "wants to know who asks (407)"
        remedy = f"write user and password into {proxy.variable}: http://USER:PASSWORD@HOST:PORT"
    else:
        what = f"gives no tunnel to {address} ({status})"
        remedy = (
            "ask whoever runs it to let CONNECT pass to this host and port; or except the host with no_proxy"
        )
    return Unavailable(f"{proxy} {what}", code="proxy_refused", remedy=remedy)
