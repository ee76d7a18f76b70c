"""An event loop whose time is simulated: sleep takes none of ours, and one seed gives one order of events.

There is no input and no output, and no thread but the loop's own: work that is handed to an executor is done
at an instant of its own, one piece after the other for an executor of one thread, in an order that is drawn
for one of several.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

_WORK_S: Final = (0.0002, 0.02)


class NothingLeft(Exception):
    """Nobody waits for anything that will ever come: a deadlock."""


class _Selector:
    """Stands where the system tells of input: instead it lets the time pass."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise NothingLeft
        self._loop.now += timeout
        return []


class SimulatedLoop(asyncio.BaseEventLoop):
    """A loop of asyncio's own making over a simulated clock.

    Attributes:
        now: Seconds since the beginning.
        stalled: Called with a piece of work's executor; how much longer it takes.
    """

    def __init__(self, source: random.Random) -> None:
        super().__init__()
        self._selector = _Selector(self)
        self._clock_resolution = 1e-9
        self._source = source
        self._busy: dict[Executor | None, float] = {}
        self.now = 0.0

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do it at an instant soon; drop it, as an executor does, if nobody wants it any more by then."""
        future: asyncio.Future[Any] = self.create_future()
        at = self.now + self._source.uniform(*_WORK_S)
        if getattr(executor, "_max_workers", 0) == 1:
            at = self._busy[executor] = max(at, self._busy.get(executor, 0.0) + 1e-6)
        self.call_at(at, self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        try:
            outcome = func(*args)
        except BaseException as error:
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(outcome)

    def _write_to_self(self) -> None:
        """Nobody sleeps in the system: there is nobody to wake."""

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""
