"""Between the asynchronous edge and the synchronous logic: one worker thread, bells, and who is connected.

    desk (event loop) ── Worker.run ──▶ logic (one thread) ── announce ──▶ Bells ──▶ watches (event loop)

All changes of state happen in the one thread, one after the other. None of this is durable, and nothing is
decided by it: a bell only says "look again", and whoever looks reads the store.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any, Final, Generic, ParamSpec, TypeVar

from kapok.errors import Unavailable

__all__ = ["Bells", "Presence", "Together", "Worker", "rings"]

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")
_Wish = TypeVar("_Wish")
_MOST_LINES: Final = 4
_MOST_TOGETHER: Final = 32
_AGAIN_S: Final = 15.0


class _Call:
    """A piece of work, and what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
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


class Worker:
    """Runs the synchronous logic, one call at a time, in the order in which they come.

    Calls that have come while others were done are done together: to write down many at once takes hardly
    longer than to write down one.

    Args:
        together: Within it what is done is on disk when it is left, all of it, or it raises.
    """

    def __init__(self, together: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")
        self._together = together
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
            # It may have been done with calls before it: then there is nothing left to do for this turn.
            await asyncio.get_running_loop().run_in_executor(self._threads, self._work_off)
        except asyncio.CancelledError:
            call.left = True
            raise
        if call.error is not None:
            raise call.error
        answer: _Answer = call.answer
        return answer

    def _work_off(self) -> None:
        calls: list[_Call] = []
        while self._waiting and len(calls) < _MOST_TOGETHER:
            calls.append(self._waiting.popleft())
        try:
            with self._together() if len(calls) > 1 else nullcontext():
                for call in calls:
                    call.do()
        except Exception as error:  # noqa: BLE001 - nothing of them is on disk: each is told
            for call in calls:
                call.error = call.error or error

    def close(self) -> None:
        """Finish what has begun, and take no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class _Batch(Generic[_Wish, _Answer]):
    """Those who are answered together."""

    def __init__(self) -> None:
        self.wishes: dict[str, _Wish] = {}
        self.answers: asyncio.Task[Mapping[str, _Answer]] | None = None


class Together(Generic[_Wish, _Answer]):
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
            if batch is None or name in batch.wishes:
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


class Bells:
    """One bell for each node and job that somebody watches.

    Args:
        loop: The event loop of those who listen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._listening: dict[str, dict[asyncio.Event, None]] = {}

    @contextmanager
    def listen(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change that concerns the node or job."""
        bell = asyncio.Event()
        self._listening.setdefault(key, {})[bell] = None
        try:
            yield bell
        finally:
            others = self._listening[key]
            del others[bell]
            if not others:
                del self._listening[key]

    def announce(self, nodes: Iterable[str], jobs: Iterable[str]) -> None:
        """Ring for these, in an order that does not hang on chance. May be called from any thread."""
        self.ring((*sorted(nodes), *jobs))

    def ring(self, keys: Collection[str] | None) -> None:
        """Ring for these, or with None for all. May be called from any thread."""
        # The loop is closed when the broker stops while the worker finishes its last call.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ring, keys)

    def _ring(self, keys: Iterable[str] | None) -> None:
        for key in tuple(self._listening) if keys is None else keys:
            for bell in self._listening.get(key, ()):
                bell.set()


class Presence:
    """Which nodes have a watch open, and from whom a vector is coming in.

    Attributes:
        elsewhere: The nodes that are connected to other broker processes on the same store, as those say.
        uploads_taken: Vectors that came in whole since the start.
        bytes_taken: Their bytes.
    """

    def __init__(self) -> None:
        self._lines: Counter[str] = Counter()
        self._uploads: Counter[tuple[str, str]] = Counter()
        self.uploads_taken = self.bytes_taken = 0
        self.elsewhere: frozenset[str] = frozenset()

    def connected(self, node: str) -> bool:
        """Whether a node is connected just now, here or elsewhere."""
        return self._lines[node] > 0 or node in self.elsewhere

    def uploading(self, node: str, job_id: str) -> bool:
        """Whether a node is just sending its vector for a job."""
        return self._uploads[node, job_id] > 0

    @property
    def here(self) -> frozenset[str]:
        """The nodes that are connected to this process just now."""
        return frozenset(self._lines)

    def took(self, size: int) -> None:
        """Note that a vector of so many bytes has come in whole."""
        self.uploads_taken += 1
        self.bytes_taken += size

    @property
    def uploads(self) -> int:
        """How many vectors are coming in just now."""
        return self._uploads.total()

    @contextmanager
    def line(self, node: str) -> Iterator[None]:
        """Note a node's watch for as long as it lasts.

        Raises:
            Unavailable: ``too_many_watches`` of the same node.
        """
        if self._lines[node] >= _MOST_LINES:
            raise Unavailable(
                f"{node} has {_MOST_LINES} watches open already",
                code="too_many_watches",
                party=node,
                remedy="see that the node does not run twice",
                retry_after_s=_AGAIN_S,
            )
        with _counted(self._lines, node):
            yield

    @contextmanager
    def upload(self, node: str, job_id: str) -> Iterator[None]:
        """Note an upload for as long as it lasts."""
        with _counted(self._uploads, (node, job_id)):
            yield


_Key = TypeVar("_Key")


@contextmanager
def _counted(counter: Counter[_Key], key: _Key) -> Iterator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


async def rings(bell: asyncio.Event, within_s: float) -> bool:
    """Whether the bell rings within that time."""
    try:
        async with asyncio.timeout(within_s):
            await bell.wait()
    except TimeoutError:
        return False
    return True
