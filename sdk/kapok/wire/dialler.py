"""How a party reaches its broker and spaces its tries: handed in, so that a simulation can take its place.

Nodes and analysts take from the machine nothing else that decides what they do next: their clock is handed in
as well, and what they wait for, they wait for on the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from kapok.errors import KapokError, TimedOut
from kapok.wire.backoff import Backoff
from kapok.wire.greeting import check_broker

if TYPE_CHECKING:
    from kapok.identity.credentials import Credentials
    from kapok.identity.revocation import Revocations
    from kapok.wire.channel import Connection

__all__ = ["Dialler"]


_FIRST_PATIENCE_S: Final = 5.0
_MOST_PATIENCE_S: Final = 80.0


class Dialler:
    """Dials over TLS; spaces tries by the system's randomness.

    A handshake that is given up is lost work for both sides. So after one that took too long the next may
    take twice as long: on a slow line, or with a broker to which a thousand nodes come back, it comes about
    in the end, instead of beginning anew for ever.
    """

    def __init__(self) -> None:
        self._patience_s = _FIRST_PATIENCE_S

    async def connect(self, credentials: Credentials, address: str) -> Connection:
        """Connect to a broker. See `kapok.wire.channel.connect`, whose library takes long to import."""
        from kapok.wire.channel import connect

        try:
            made = await connect(credentials, address, timeout_s=self._patience_s)
        except TimedOut:
            self._patience_s = min(self._patience_s * 2, _MOST_PATIENCE_S)
            raise
        self._patience_s = _FIRST_PATIENCE_S
        return made

    async def connect_any(
        self,
        credentials: Credentials,
        places: Sequence[str],
        *,
        after: str | None = None,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Connection:
        """Connect to the first broker that answers and is not revoked, of several on one store.

        Args:
            credentials: This party's own.
            places: Their addresses, at least one.
            after: Begin with the one behind this: the one whose connection has ended.
            revocations: Hold the broker to this list, as `kapok.wire.greeting` does.
            clock: Seconds since the epoch.

        Raises:
            KapokError: as `connect`, of the first that was tried.
        """
        first = places.index(after) + 1 if after in places else 0
        failed: KapokError | None = None
        for place in (*places[first:], *places[:first]):
            try:
                return await self._proven(credentials, place, revocations, clock)
            except KapokError as error:
                failed = failed or error
        raise failed or AssertionError("there is no address to connect to")

    async def _proven(
        self,
        credentials: Credentials,
        place: str,
        revocations: Revocations | None,
        clock: Callable[[], float],
    ) -> Connection:
        """Connect to a broker, and stay only with one that is not revoked."""
        broker = await self.connect(credentials, place)
        if revocations is None:
            return broker
        try:
            await check_broker(broker, credentials, revocations, clock)
        except BaseException:
            await broker.close()
            raise
        return broker

    def backoff(self, first_s: float, most_s: float) -> Backoff:
        """Waits between tries. See `Backoff`."""
        return Backoff(first_s, most_s)
