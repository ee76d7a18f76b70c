"""The thread in which the broker's logic runs: all changes of state happen there, one after the other.

    handler (event loop) ── Worker.run ──▶ logic (one thread)

What has come meanwhile is done together: calls in one commit (`Worker`), like wishes by one call (`Batcher`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any, Final, Generic, ParamSpec, TypeVar

__all__ = ["Batcher", "Worker"]

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")
_Wish = TypeVar("_Wish")
_MOST_TOGETHER: Final = 32


class _Call:
    """A piece of work, and what came of it.

    Attributes:
        left: Nobody wants it any more.
        over: Nothing more will come of it: it was done or left out, or what it belonged to failed.
        answer: What it returned.
        error: What it raised.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.left = self.over = False
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


class Worker:
    """Runs the synchronous logic, one call at a time, in the order in which they come.

    Calls that have come while others were done are done together: to write down many at once takes hardly
    longer than to write down one.

    Args:
        group_commit: Within it what is done is on disk when it is left, all of it, or it raises.
    """

    def __init__(self, group_commit: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")
        self._group_commit = group_commit
        self._waiting: deque[_Call] = deque()

    async def run(
        self,
        work: Callable[_Parameters, _Answer],
        *arguments: _Parameters.args,
        **named: _Parameters.kwargs,
    ) -> _Answer:
        """Do one thing in the worker thread. What has begun is finished there, even if the caller leaves."""
        call = _Call(partial(copy_context().run, partial(work, *arguments, **named)))
        self._waiting.append(call)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._work_off, call)
        except asyncio.CancelledError:
            call.left = True
            raise
        if call.error is not None:
            raise call.error
        answer: _Answer = call.answer
        return answer

    def _work_off(self, until: _Call) -> None:
        """Do what waits, until this call is over; it may have been done with calls before it.

        Calls that were left wait here as well, and their own turns have gone: so one turn may be for many.
        """
        while not until.over:
            self._work_off_some()

    def _work_off_some(self) -> None:
        calls: list[_Call] = []
        while self._waiting and len(calls) < _MOST_TOGETHER:
            calls.append(self._waiting.popleft())
        try:
            with self._group_commit() if len(calls) > 1 else nullcontext():
                for call in calls:
                    call.do()
        except Exception as error:  # noqa: BLE001 - nothing of them is on disk: each is told
            for call in calls:
                call.error = call.error or error
        finally:
            for call in calls:
                call.over = True

    def close(self) -> None:
        """Finish what has begun, and take no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)


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
                batch.answers = asyncio.create_task(self._worker.run(self._do, batch))
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
