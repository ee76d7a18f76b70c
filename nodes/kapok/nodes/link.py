"""The line to the broker: the node dials, watches, answers, and dials again.

    connect ─▶ documents ─▶ memberships ─▶ watch ─▶ assignment ─▶ Runner (in a thread) ─▶ answer

The runner's work is done in threads, so that keepalive goes on meanwhile. What could not be sent is not
kept here: after a reconnect the broker asks again, and the runner answers the same.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from contextvars import copy_context
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from kapok.daemon.chores import kept_going
from kapok.errors import KapokError, NotFound, Unavailable
from kapok.logs import about
from kapok.logs.lasting import Lasting
from kapok.logs.traces import span
from kapok.nodes.fetching import fetched
from kapok.nodes.joining import Joining
from kapok.nodes.runner import (
    AnsweredReopening,
    Consent,
    Opinion,
    Outgoing,
    Refusal,
    Release,
    Runner,
    Seal,
)
from kapok.wire.backoff import least_wait_s
from kapok.wire.channel import Connection
from kapok.wire.dialler import Dialler
from kapok.wire.greeting import check_broker
from kapok.wire.messages import Assignment, Idle, OpenAttempt, RevocationNotice

if TYPE_CHECKING:
    from kapok.identity.renewal import Current
    from kapok.identity.revocation import Revocations

__all__ = ["Link"]

T = TypeVar("T")

_POLL_S: Final = 1.0
_JOIN_AGAIN_S: Final = 5.0
_JOIN_AT_LEAST_EACH_S: Final = 60.0
_STABLE_S: Final = 10.0
# A broker says something each 15 s; more than that, for a long message may be under way on a slow line.
_SILENCE_S: Final = 120.0
_DRAIN_S: Final = 10.0
# For three quarters of a minute: then another broker, or a new connection, may do better.
_TRIES: Final = 16
_AT_ONCE: Final = 32
_THREADS: Final = 4
_OTHER_TAG_KEY: Final = "bad_tag_seed"
_log = logging.getLogger(__name__)


class Link:
    """A node's line to its broker.

    Args:
        current: The node's credentials; when they are renewed, the broker is dialled anew.
        places: The broker's addresses: one of each process on its store. When a connection ends, the next is
            tried.
        runner: Answers assignments.
        joining: What the node joins.
        revocations: The list of revoked certificates, which the broker hands on.
        dialler: Reaches the broker, and spaces tries.
        heard: Told True whenever the broker is heard, and False when the line has ended.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        current: Current,
        places: Sequence[str],
        runner: Runner,
        joining: Joining,
        revocations: Revocations,
        dialler: Dialler,
        heard: Callable[[bool], None] = lambda _connected: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._heard = heard
        self._current, self._places, self._revocations = current, places, revocations
        self._redial = asyncio.Event()
        current.tell(self._redial.set)
        self._last: str | None = None
        # Since when the line stands, by the loop's time: to dial for long is not to be connected for long.
        self._since = math.inf
        self._lost, self._unread, self._unjoined = Lasting(_log), Lasting(_log), Lasting(_log)
        self._told_joined: set[str] = set()
        self._runner, self._joining, self._dialler = runner, joining, dialler
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="node")
        # An app may take hours: who asks something else does not wait for it.
        self._apps = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="node-apps")
        self._room = asyncio.Semaphore(_AT_ONCE)
        # In the order in which they began: a set has none that would come again.
        self._answering: dict[asyncio.Task[None], None] = {}

    async def run(self, stop: asyncio.Event, ready: Callable[[str], None] | None = None) -> None:
        """Stay connected until `stop` is set; then finish the answers that have begun.

        Raises:
            KapokError: the very first connection cannot come about for a reason that waiting does not mend.
        """
        try:
            await _until(stop, self._stay(ready))
        finally:
            # Work in a thread may still write to the journal, which is closed after this.
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    self._apps.shutdown(wait=False, cancel_futures=True)
                    await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
                    await asyncio.to_thread(self._apps.shutdown, wait=True)

    async def _stay(self, ready: Callable[[str], None] | None) -> None:
        backoff, loop, was_ready = self._dialler.backoff(0.5, 30.0), asyncio.get_running_loop(), False

        def is_ready() -> None:
            nonlocal was_ready
            if not was_ready and ready is not None:
                ready(self._last or "")
            was_ready = True

        while True:
            self._since = math.inf
            try:
                await self._connected(is_ready)
            except KapokError as error:
                if not (was_ready or isinstance(error, Unavailable)):
                    raise
                where = {"broker": ", ".join(self._places)}
                self._lost.tell(error.code, "no connection to the broker", _told(error) | where)
            except Exception as error:  # noqa: BLE001 - one connection must not take the daemon with it
                ended = "the connection to the broker ended by a defect"
                self._lost.tell(type(error), ended, level=logging.ERROR, error=error)
            if loop.time() - self._since > _STABLE_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _connected(self, is_ready: Callable[[], None]) -> None:
        """One connection, until it ends."""
        self._redial.clear()
        self._told_joined.clear()
        broker = await self._dialler.connect_any(
            self._current.now,
            self._places,
            after=self._last,
            revocations=self._revocations,
            clock=self._clock,
        )
        self._last = broker.address
        self._since = asyncio.get_running_loop().time()
        try:
            wanting = await self._join(broker)
            _log.info("connected", extra={"broker": broker.address})
            self._lost.over("the broker is back", {"broker": broker.address})
            async with (
                kept_going("the node's look once a second", partial(self._poll, broker)),
                kept_going("joining what is wanting", partial(self._join_later, broker, wanting)),
            ):
                try:
                    await _until(self._redial, self._watch(broker, is_ready))
                except asyncio.CancelledError:
                    await self._drain(_DRAIN_S)
                    raise
        finally:
            await self._drain(0)
            await broker.close()
            self._heard(False)
            _log.info("connection closed", extra=asdict(broker.traffic))

    async def _drain(self, patience_s: float) -> None:
        """Let answers be sent that have begun; drop those that take longer, for the broker asks again."""
        if self._answering and patience_s:
            await asyncio.wait(self._answering, timeout=patience_s)
        for task in tuple(self._answering):
            task.cancel()

    async def _watch(self, broker: Connection, is_ready: Callable[[], None]) -> None:
        async with aclosing(broker.node.watch()) as assignments:
            while (assignment := await _heard_within(_SILENCE_S, assignments, broker.address)) is not None:
                self._heard(True)
                if isinstance(assignment, Idle):
                    is_ready()
                    continue
                if isinstance(assignment, RevocationNotice):
                    if self._revoke(assignment.der):
                        await check_broker(broker, self._current.now, self._revocations, self._clock)
                    continue
                await self._room.acquire()
                task = asyncio.create_task(self._answer(broker, assignment))
                self._answering[task] = None
                task.add_done_callback(self._answered)

    def _revoke(self, der: bytes) -> bool:
        """Let a newer list count, for what parties sign and for the broker; return whether it was newer."""
        try:
            if self._revocations.take(der) and (newest := self._revocations.current) is not None:
                _log.warning(
                    "a list of revocations has come",
                    extra={"number": newest.number, "revoked": len(newest.serials)},
                )
                return True
        except KapokError as error:
            _log.error("the broker's list of revocations is not taken", extra=_told(error))
        return False

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.pop(task, None)
        self._room.release()

    async def _answer(self, broker: Connection, assignment: Assignment) -> None:
        """Answer one assignment; what is logged meanwhile is of its job, which the runner says."""
        with about():
            try:
                await self._work_off(broker, assignment)
            except Exception as error:  # noqa: BLE001 - one assignment must not take the others with it
                _log.error("an assignment could not be answered", exc_info=error)

    async def _work_off(self, broker: Connection, assignment: Assignment) -> None:
        if isinstance(assignment, OpenAttempt) and assignment.parameters is not None:
            asked, statement = assignment, assignment.parameters.statement
            parameters = await self._persistently(lambda: fetched(broker, asked, statement))
            if parameters is None:
                return
            assignment = replace(asked, parameters=parameters)
        pool = self._apps if self._runner.runs_app(assignment) else self._threads
        answers = await self._persistently(
            lambda: self._in_thread(lambda: self._runner.handle(assignment), pool)
        )
        for answer in answers or ():
            if isinstance(answer, Refusal) and answer.code == _OTHER_TAG_KEY:
                await self._take_back(broker)
            await self._send(broker, answer)

    async def _poll(self, broker: Connection) -> None:
        """Once a second: what the officer has decided, a pause as well; keys of jobs that are over."""
        while True:
            try:
                for answer in await self._in_thread(self._runner.look):
                    await self._send(broker, answer)
                self._unread.over("the journal is available again")
            except Unavailable as error:
                self._unread.tell(error.code, "the journal is not available", _told(error))
            await asyncio.sleep(_POLL_S)

    # --- joining ----------------------------------------------------------------------------------------

    async def _join(self, broker: Connection) -> bool:
        """Publish memberships of every table that is or was joined; return whether any is still wanting."""
        for dataset_hash in self._joining.missing():
            try:
                entry = await broker.catalogue.dataset(dataset_hash)
                await self._in_thread(partial(self._joining.take, dataset_hash, entry))
            except Unavailable:
                raise
            except NotFound:
                unknown, of = "the broker does not know the dataset yet", {"dataset": dataset_hash}
                self._unjoined.tell((dataset_hash, unknown), unknown, of)
            except KapokError as error:
                cannot, of = "a dataset cannot be joined", {"dataset": dataset_hash}
                self._unjoined.tell(
                    (dataset_hash, error.code), cannot, _told(error) | of, level=logging.ERROR
                )
        members, wanting = await self._in_thread(self._joining.memberships)
        for name, token in members:
            try:
                await broker.node.join(token)
            except NotFound as error:
                # A broker that was set back to before the dataset: whoever published it does so again.
                self._unjoined.tell((name, error.code), "the broker does not take a membership", _told(error))
                wanting.append(name)
                continue
            if name not in self._told_joined:
                self._told_joined.add(name)
                _log.info("joined", extra={"dataset": name})
        return bool(wanting)

    async def _take_back(self, broker: Connection) -> None:
        """Join again at once if the broker shows another tag key under this node's name, before it refuses.

        So whoever asks again then asks this node. Which of two processes is the right one nobody can tell but
        their holder: both have the name.
        """
        try:
            for dataset_hash in tuple(self._joining.joined):
                shown = await broker.catalogue.dataset(dataset_hash)
                if await self._in_thread(
                    partial(self._joining.displaced, str(self._current.now.name), shown)
                ):
                    _log.warning(
                        "another process has joined under this node's name: this one joins again",
                        extra={
                            "dataset": dataset_hash,
                            "remedy": "stop the other process, and enrol it under a name of its own; if "
                            "nobody of yours runs one, tell your authority",
                        },
                    )
                    await self._join(broker)
                    return
        except KapokError as error:
            _log.warning("the node's memberships could not be compared with the broker's", extra=_told(error))

    async def _join_later(self, broker: Connection, waiting: bool) -> None:
        """Try again until every document is there and every table is fit, if any is not."""
        # A table is read as a whole for it, again and again where nobody mends it.
        backoff = self._dialler.backoff(_JOIN_AGAIN_S, _JOIN_AT_LEAST_EACH_S)
        while waiting:
            await asyncio.sleep(backoff.next_s())
            try:
                waiting = await self._join(broker)
            except KapokError as error:
                self._unjoined.tell(error.code, "joining is tried again", _told(error))

    # --- sending ----------------------------------------------------------------------------------------

    async def _send(self, broker: Connection, answer: Outgoing) -> None:
        """Send one answer; one that the broker does not want any more is dropped."""
        try:
            with span("send", job=answer.job_id):
                await self._persistently(lambda: _call(broker, answer))
        except KapokError as error:
            _log.warning("the broker did not take an answer", extra=_told(error) | {"job": answer.job_id})

    async def _persistently(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Try again while trying again can help; after some tries it is left to the broker to ask again."""
        backoff, least_s = self._dialler.backoff(0.2, 5.0), None
        for attempt in range(1, _TRIES + 1):
            try:
                return await work()
            except Unavailable as error:
                if attempt == _TRIES:
                    _log.warning("given up: the broker is dialled anew, and asks again", extra=_told(error))
                    self._redial.set()
                    return None
                least_s = least_wait_s(error)
            await asyncio.sleep(backoff.next_s(least_s))
        return None

    async def _in_thread(self, work: Callable[[], T], pool: ThreadPoolExecutor | None = None) -> T:
        within = partial(copy_context().run, work)
        return await asyncio.get_running_loop().run_in_executor(pool or self._threads, within)


async def _heard_within(
    patience_s: float, assignments: AsyncGenerator[Assignment, None], address: str
) -> Assignment | None:
    """The next assignment; None at the end of the stream.

    gRPC's own probes tell that a machine and its process are there, not that the process still does its work.

    Raises:
        Unavailable: ``broker_silent``: not even `Idle` has come.
    """
    try:
        async with asyncio.timeout(patience_s):
            return await anext(assignments, None)
    except TimeoutError:
        raise Unavailable(
            f"{address} is connected, and has said nothing for {patience_s:g} s",
            code="broker_silent",
            remedy="it is dialled anew; if it stays so, the broker's people should look at its log",
        ) from None


async def _call(broker: Connection, answer: Outgoing) -> None:
    match answer:
        case Consent(job_id, token):
            await broker.node.consent(job_id, token)
        case Refusal(job_id, token, _):
            await broker.node.refuse(job_id, token)
        case Seal(job_id, token, chunks):
            await broker.node.seal(job_id, token, chunks)
        case Release(job_id, token):
            await broker.node.release(job_id, token)
        case Opinion(inquiry_id, token):
            await broker.node.give_opinion(inquiry_id, token)
        case AnsweredReopening(reopening_id, token):
            await broker.node.answer_reopening(reopening_id, token)
        case _ as never:
            assert_never(never)


async def _until(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Run until it ends by itself, or `stop` is set."""
    running = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not running.done():
            running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def _told(error: KapokError) -> dict[str, object]:
    return {"code": error.code, "what": error.message, "remedy": error.remedy}
