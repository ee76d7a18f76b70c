"""The connection to the broker: what can be tried again is, with growing pauses; whoever waits is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from kapok.client.opening import brokers_word
from kapok.client.progress import Listener, Progress, silent
from kapok.errors import KapokError
from kapok.logs import traces
from kapok.wire.address import addresses
from kapok.wire.backoff import least_wait_s
from kapok.wire.dialler import Dialler

if TYPE_CHECKING:
    from kapok.client.profile import Profile
    from kapok.identity.credentials import Credentials
    from kapok.wire.channel import Connection

__all__ = ["BrokerConnection", "Pauses"]

_Answer = TypeVar("_Answer")
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class Pauses:
    """Growing pauses until a given moment; longer where the other side says that it is busy for longer."""

    def __init__(self, until: float, dialler: Dialler, busy_until: float = 0.0) -> None:
        """Pauses that end at `until`, by the event loop's time; `busy_until` where a broker has no room."""
        self._until, self._busy_until = until, busy_until
        self._backoff = dialler.backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)

    async def after(self, error: KapokError, listener: Listener) -> None:
        """Wait a little, or raise `error` if it cannot be helped by waiting or time is up."""
        now, least_s = asyncio.get_running_loop().time(), least_wait_s(error)
        until = self._until if least_s is None else max(self._until, self._busy_until)
        if not error.retryable or now + (least_s or 0.0) >= until:
            raise error
        listener(Progress(step="retrying", text=f"{error.message}; trying again"))
        await asyncio.sleep(self._backoff.next_s(least_s))

    def restart(self, until: float) -> None:
        """Begin again with short pauses: something has worked in between."""
        self._until = until
        self._backoff.reset()


class BrokerConnection:
    """One connection of a profile to its broker, made when it is first needed."""

    def __init__(
        self,
        profile: Profile,
        credentials: Credentials,
        dialler: Dialler,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """For a profile; the list of revoked certificates that it has seen is kept in its folder."""
        self._clock = clock
        self._revocations = profile.revocations(credentials)
        traces.configure("analyst", profile.settings.traces)
        self._profile = profile
        self._credentials = credentials
        self.dialler = dialler
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._places = addresses(profile.settings.broker)
        self._left: str | None = None

    async def broker(self) -> Connection:
        """The connection, which mends itself; dialled at the first call.

        Raises:
            Unavailable: nobody answers there.
            IdentityInvalid: one of the two sides does not accept the other's certificate.
        """
        async with self._lock:
            if self._connection is None:
                self._connection = await self.dialler.connect_any(
                    self._credentials,
                    self._places,
                    after=self._left,
                    revocations=self._revocations,
                    clock=self._clock,
                )
            return self._connection

    async def move_on(self, error: KapokError) -> None:
        """After an error that may pass: dial anew next time, the next broker where the profile names several.

        Who answers then has to prove anew who it is.
        """
        async with self._lock:
            if self._connection is not None and error.retryable:
                self._left = self._connection.address
                await self._connection.close()
                self._connection = None

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes sent and received so far."""
        if self._connection is None:
            return 0, 0
        return self._connection.traffic.bytes_sent, self._connection.traffic.bytes_received

    async def with_retries(
        self,
        call: Callable[[Connection], Awaitable[_Answer]],
        listener: Listener = silent,
        busy_s: float = 0.0,
    ) -> _Answer:
        """Call until it answers, or fails for good, or the profile's patience is at an end.

        Args:
            call: Must be safe to repeat.
            listener: Told when it is tried again.
            busy_s: How long to go on where the broker answers that it has no room just now, if that is longer
                than the profile's patience.

        Raises:
            Unavailable: the broker could not be reached in time.
            KapokError: whatever the broker answered; of a node it is told as the broker's word.
        """
        now = asyncio.get_running_loop().time()
        pauses = Pauses(now + self._profile.settings.patience_s, self.dialler, now + busy_s)
        while True:
            try:
                return await call(await self.broker())
            except KapokError as error:
                await self.move_on(error)
                await pauses.after(brokers_word(error), listener)

    async def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
