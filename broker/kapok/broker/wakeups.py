"""Who waits for a change is woken: a wakeup says "look again", and whoever looks reads the store.

    logic (one thread) ── announce ──▶ Wakeups ──▶ watches (event loop)

Nothing is decided by a wakeup, and none is kept: one that is lost costs time alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Wakeups", "woken"]


class Wakeups:
    """Events by node and job, for those who watch them.

    Args:
        loop: The event loop of those who listen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._listening: dict[str, dict[asyncio.Event, None]] = {}

    @contextmanager
    def listen(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change that concerns the node or job."""
        wakeup = asyncio.Event()
        self._listening.setdefault(key, {})[wakeup] = None
        try:
            yield wakeup
        finally:
            others = self._listening[key]
            del others[wakeup]
            if not others:
                del self._listening[key]

    def announce(self, nodes: Iterable[str], jobs: Iterable[str]) -> None:
        """Wake who listens to these, in an order that is no chance's. May be called from any thread."""
        self.wake((*sorted(nodes), *jobs))

    def wake(self, keys: Collection[str] | None) -> None:
        """Wake who listens to these, or with None for all. May be called from any thread."""
        # The loop is closed when the broker stops while the worker finishes its last call.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake, keys)

    def _wake(self, keys: Iterable[str] | None) -> None:
        for key in tuple(self._listening) if keys is None else keys:
            for wakeup in self._listening.get(key, ()):
                wakeup.set()


async def woken(wakeup: asyncio.Event, within_s: float) -> bool:
    """Whether the event is set within that time."""
    try:
        async with asyncio.timeout(within_s):
            await wakeup.wait()
    except TimeoutError:
        return False
    return True
