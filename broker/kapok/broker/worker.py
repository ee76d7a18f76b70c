"""The thread in which the broker's logic runs: all changes of state happen there, one after the other.

    handler (event loop) ── Worker.run ──▶ logic (one thread)

What has come meanwhile is done together: calls in one commit (`Worker`), like wishes by one call (`Batcher`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context, copy_context
from functools import partial
from threading import Lock
from typing import Any, Final, Generic, ParamSpec, TypeVar

from kapok.errors import Unavailable
from kapok.wire.shares import calling

__all__ = ["Batcher", "Worker"]

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")
_Wish = TypeVar("_Wish")
_MOST_TOGETHER: Final = 32
_LONGEST_TOGETHER_S: Final = 0.05


class _Call:
    """A piece of work, and what came of it.

    Attributes:
        told: Done when nothing more will come of it: it was done or left out, or what it belonged to failed.
        left: Nobody wants it any more.
        answer: What it returned.
        error: What it raised.
    """

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._work, self._loop = work, loop
        self.told: asyncio.Future[None] = loop.create_future()
        self.left = False
        self.answer: Any = None
        self.error: BaseException | None = None

    def do(self) -> None:
        """Do it, unless nobody wants it any more."""
        if self.left:
            return
        try:
            self.answer = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            self.error = error

    def tell(
        self, end: Callable[[asyncio.Future[None]], object] = lambda told: told.set_result(None)
    ) -> None:
        """Wake who waits for it. May be called from any thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: self.told.done() or end(self.told))


class Worker:
    """Runs the synchronous logic, one call at a time, and organisations in turns.

    Calls of one organisation are done in the order in which they come, and one of each organisation before
    the next of any: whoever asks for much waits for itself.

    Calls that have come while others were done are done together: to write down many at once takes hardly
    longer than to write down one. For as long as a group takes all of it waits, so it ends after a while.

    Args:
        group_commit: Within it what is done is on disk when it is left, all of it, or it raises.
    """

    def __init__(self, group_commit: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")
        self._group_commit = group_commit
        self._lock = Lock()
        self._waiting: OrderedDict[str, deque[_Call]] = OrderedDict()

    async def run(
        self,
        work: Callable[_Parameters, _Answer],
        *arguments: _Parameters.args,
        **named: _Parameters.kwargs,
    ) -> _Answer:
        """Do one thing in the worker thread. What has begun is finished there, even if the caller leaves."""
        loop = asyncio.get_running_loop()
        call = _Call(partial(copy_context().run, partial(work, *arguments, **named)), loop)
        with self._lock:
            self._waiting.setdefault(calling.get(), deque()).append(call)
        # As many turns as calls, each of which works off one at least: so none is forgotten, also where those
        # who wait leave. A turn is not theirs.
        loop.run_in_executor(self._threads, self._work_off, loop.time)
        try:
            await call.told
        except asyncio.CancelledError:
            call.left = True
            raise
        if call.error is not None:
            raise call.error
        answer: _Answer = call.answer
        return answer

    def _next(self) -> _Call | None:
        """Whose turn it is; the organisation's next comes after one of each other."""
        with self._lock:
            if not self._waiting:
                return None
            organisation, calls = self._waiting.popitem(last=False)
            call = calls.popleft()
            if calls:
                self._waiting[organisation] = calls
            return call

    def _work_off(self, now: Callable[[], float]) -> None:
        call, until = self._next(), now() + _LONGEST_TOGETHER_S
        if call is None:
            return
        begun, alone = [call], not self._waiting
        try:
            with nullcontext() if alone else self._group_commit():
                call.do()
                while not (alone or len(begun) == _MOST_TOGETHER or now() > until):
                    if (call := self._next()) is None:
                        break
                    begun.append(call)
                    call.do()
        except Exception as error:  # noqa: BLE001 - nothing of them is on disk: each is told
            # Where the store is away, those who wait hear of it as well: each try may take its time.
            while isinstance(error, Unavailable) and len(begun) < _MOST_TOGETHER and (call := self._next()):
                begun.append(call)
            for one in begun:
                one.error = one.error or error
        finally:
            for one in begun:
                one.tell()

    def close(self) -> None:
        """Finish what has begun, and take no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while (call := self._next()) is not None:
            call.tell(asyncio.Future.cancel)


class _Batch(Generic[_Wish, _Answer]):
    """Those who are answered together."""

    def __init__(self) -> None:
        self.wishes: dict[str, _Wish] = {}
        self.answers: asyncio.Task[Mapping[str, _Answer]] | None = None

    @property
    def failed(self) -> bool:
        """Whether the worker could not even begin: while the store is away it begins nothing."""
        return self.answers is not None and self.answers.done()


class Batcher(Generic[_Wish, _Answer]):
    """Work that is done once for all who want it while the worker is busy with something else.

    Args:
        worker: Does it.
        work: Given each one's name and wish, returns each one's answer.
    """

    def __init__(self, worker: Worker, work: Callable[[Mapping[str, _Wish]], Mapping[str, _Answer]]) -> None:
        self._worker, self._work = worker, work
        self._lock = Lock()
        self._open: _Batch[_Wish, _Answer] | None = None

    async def of(self, name: str, wish: _Wish) -> _Answer:
        """One's own answer, as of some instant between call and return."""
        with self._lock:
            batch = self._open
            if batch is None or batch.failed or name in batch.wishes:
                batch = self._open = _Batch()
                # It is nobody's own: neither its turn nor what is logged meanwhile is of who came first.
                work = self._worker.run(self._do, batch)
                batch.answers = asyncio.create_task(work, context=Context())
            batch.wishes[name] = wish
        if batch.answers is None:
            raise AssertionError("a batch is begun with its task")
        return (await asyncio.shield(batch.answers))[name]

    def _do(self, batch: _Batch[_Wish, _Answer]) -> Mapping[str, _Answer]:
        """In the worker's thread: whoever comes from now on is of the next."""
        with self._lock:
            if self._open is batch:
                self._open = None
        return self._work(batch.wishes)
