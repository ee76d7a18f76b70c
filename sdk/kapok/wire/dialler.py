"""How a party reaches its broker and spaces its tries: handed in, so that a simulation can take its place.

Nodes and analysts take from the machine nothing else that decides what they do next: their clock is handed in
as well, and what they wait for, they wait for on the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapok.wire.backoff import Backoff

if TYPE_CHECKING:
    from kapok.identity.credentials import Credentials
    from kapok.wire.channel import Connection

__all__ = ["Dialler"]


class Dialler:
    """Dials over TLS; spaces tries by the system's randomness."""

    async def connect(self, credentials: Credentials, address: str) -> Connection:
        """Connect to a broker. See `kapok.wire.channel.connect`, whose library takes long to import."""
        from kapok.wire.channel import connect

        return await connect(credentials, address)

    def backoff(self, first_s: float, most_s: float) -> Backoff:
        """Waits between tries. See `Backoff`."""
        return Backoff(first_s, most_s)
