"""Addresses of services: ``host:port``, with brackets around an IPv6 host."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from kapok.errors import InvalidInput

__all__ = ["Address", "Addresses", "addresses"]

_FORM: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]{1,253})):(?P<port>[0-9]{1,5})\Z"
)
_LAST_PORT: Final = 65535

Addresses = str | tuple[str, ...]
"""A service's address as settings have it: ``host:port``, or several, one for each process of it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens. Port 0 means, for a server, any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, so that no proxy may be asked for it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port`` or ``[IPv6]:port``.

        Raises:
            InvalidInput: ``bad_address`` when it is anything else.
        """
        form = _FORM.match(text) if isinstance(text, str) else None
        host = (form["six"] or form["host"]) if form else ""
        if form is None or int(form["port"]) > _LAST_PORT or (form["six"] and not _is_ipv6(host)):
            raise InvalidInput(
                f"{text!r} is not an address",
                code="bad_address",
                remedy="write host:port, for instance broker.example.org:7443 or [::1]:7443",
            )
        return cls(host, int(form["port"]))


def addresses(written: Addresses) -> tuple[str, ...]:
    """The addresses of a service that can be dialled, in the order in which they were written.

    Raises:
        InvalidInput: ``bad_address`` when there is none, one twice, or one is no address, or has the port 0.
    """
    found = (written,) if isinstance(written, str) else written
    for text in found:
        if not Address.parse(text).port:
            raise InvalidInput(
                f"{text!r} has the port 0",
                code="bad_address",
                remedy="write the port on which the service listens",
            )
    if not found or len(set(found)) != len(found):
        raise InvalidInput(
            "there is no address, or one twice",
            code="bad_address",
            remedy='write "host:port", or ["host:port", "other:port"]',
        )
    return found


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
