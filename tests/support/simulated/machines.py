"""The machines of a network: a folder on a disk each, a clock that may be wrong, a process that may die.

The processes are the daemons' own `run`, and an analyst's sessions: nothing of Kapok is left out but TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kapok.broker.app import run as run_broker
from kapok.client.profile import Profile
from kapok.client.session import AsyncSession
from kapok.errors import KapokError
from kapok.nodes.app import run as run_node
from support.simulated.calls import SimulatedDialler
from support.simulated.disk import Phase, image
from support.simulated.listener import serving
from support.simulated.network import Endpoint

if TYPE_CHECKING:
    from kapok.client.result import Result
    from support.simulated.world import World

_LOOK_S: Final = 1.0


class Machine:
    """One party's machine.

    Attributes:
        name: As in the trace.
        home: The folder of its present process.
        skew_s: How far its clock is ahead.
        full: Whether its disk is full.
        was_full: Whether it has ever been.
        cut_at: The power goes at this write of its present process; None for not.
        down_s: How long it stays dark then.
    """

    def __init__(self, world: World, name: str, base: Path) -> None:
        self.world, self.name = world, name
        self.skew_s = 0.0
        self.full = self.was_full = False
        self.cut_at: tuple[int, Phase] | None = None
        self.down_s = 1.0
        self.starts = self._writes = self._restored = 0
        self.home = world.folder / f"{name}.0"
        self.endpoint = Endpoint(name)
        self.endpoint.alive = False
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        image(base, self.home)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.endpoint.alive

    def clock(self) -> float:
        """Seconds since the epoch, as this machine believes."""
        return self.world.epoch + self.world.loop.time() + self.skew_s

    def set_clock(self, skew_s: float) -> None:
        """Let it be so far ahead from now on."""
        self.world.trace.note(self.name, f"clock is {skew_s:+.1f} s off")
        self.skew_s = skew_s
        self.world.checks.clock_set(self)

    def fill(self) -> None:
        """Let there be no room on its disk."""
        self.full = self.was_full = True

    def start(self) -> None:
        """Start its process."""
        if self.alive or self.world.over:
            return
        self.starts += 1
        self._writes = 0
        self.endpoint, self._stop = Endpoint(self.name), asyncio.Event()
        self.world.disks.owners[self.home.name] = self
        self.world.trace.note(self.name, "starts")
        self._task = self.world.loop.create_task(self._run(self.endpoint))

    async def _run(self, endpoint: Endpoint) -> None:
        try:
            await self._main()
        except asyncio.CancelledError:
            raise
        except KapokError as error:
            if endpoint.alive:
                self._ended(endpoint, error.code)
        except Exception as error:
            if endpoint.alive:
                self.world.wrong(f"{self.name} died of {error!r}")
                self._ended(endpoint, "defect")
        else:
            if endpoint.alive:
                self._ended(endpoint, "drained")

    def _ended(self, endpoint: Endpoint, why: str) -> None:
        """The process has ended by itself: whoever runs it starts it again."""
        self.world.trace.note(self.name, f"ends: {why}")
        endpoint.alive = False
        self.world.checks.down(self)
        self.world.loop.call_later(self.down_s, self.start)

    async def _main(self) -> None:
        raise NotImplementedError

    def wrote(self, phase: Phase, what: str) -> None:
        """Count a write; the power may go now. See `Owner`."""
        if not self.alive:
            return
        if phase == "before":
            self._writes += 1
        if self.cut_at == (self._writes, phase):
            self.world.trace.note(self.name, f"power cut {phase} write {self._writes} ({what})")
            self.cut_at = None
            self.kill()
        elif phase == "after":
            self.world.checks.wrote(self)

    def kill(self) -> None:
        """End the process at once, with what is on its disk; start it again later."""
        if not self.alive:
            return
        self.world.trace.note(self.name, "is dead")
        self.endpoint.alive = False
        self.world.checks.down(self)
        del self.world.disks.owners[self.home.name]
        old, self.home = self.home, self.world.folder / f"{self.name}.{self.starts}"
        image(old, self.home)
        if self._task is not None:
            self.world.loop.call_soon(self._task.cancel)
        self._died()
        self.world.loop.call_later(self.down_s, self.start)

    def _died(self) -> None:
        """What is not the process's own to put away."""

    @property
    def _backup(self) -> Path:
        return self.world.folder / f"{self.name}.backup"

    def back_up(self) -> None:
        """Copy the disk as it is."""
        if not self._backup.exists():
            self.world.trace.note(self.name, "is backed up")
            image(self.home, self._backup)

    def restore(self, *, but: str = "") -> None:
        """Go on from the copy.

        Args:
            but: A file that no backup has, as it lies outside of what is backed up.
        """
        if not self._backup.exists():
            return
        self.kill()
        self.world.trace.note(
            self.name, f"is restored from its backup, but {but}" if but else "is rolled back"
        )
        self._restored += 1
        kept, self.home = self.home, self.world.folder / f"{self.name}.restored-{self._restored}"
        image(self._backup, self.home)
        if but:
            shutil.copy(kept / but, self.home / but)
        self.world.checks.rolled_back(self, but)

    def terminate(self) -> None:
        """SIGTERM: the process drains, and ends by itself."""
        if self.alive:
            self.world.trace.note(self.name, "SIGTERM")
            self._stop.set()

    async def put_away(self) -> None:
        """In the end: wait until its last process is gone."""
        self.endpoint.alive = False
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task


class BrokerMachine(Machine):
    """The broker's."""

    async def _main(self) -> None:
        await run_broker(
            self.home,
            stop=self._stop,
            clock=self.clock,
            serving=serving(self.world.network, self.endpoint, self.clock),
        )

    def _died(self) -> None:
        listener = self.world.network.listener
        if listener is not None and listener.endpoint is self.endpoint:
            self.world.network.listener = None
            listener.hang_up()


class NodeMachine(Machine):
    """A holder's. Its officer confirms a restored journal, when the node asks for it."""

    def _ended(self, endpoint: Endpoint, why: str) -> None:
        super()._ended(endpoint, why)
        if why == "journal_restored":
            settings, number = self.home / "node.toml", (self.home / "instance").read_text().strip()
            settings.write_text(f"accept_rollback = {number}\n{settings.read_text()}")

    async def _main(self) -> None:
        dialler = SimulatedDialler(self.world.network, self.endpoint)
        await run_node(self.home, stop=self._stop, clock=self.clock, dialler=dialler)


@dataclass(frozen=True)
class Wish:
    """A question that an analyst will ask.

    Attributes:
        at_s: When, in seconds from the beginning.
        sql: The question.
        at_least: With how many organisations it settles.
        deadline_s: Seconds that it has.
        cancelled_after_s: When the analyst has enough of it; None for never.
    """

    at_s: float
    sql: str
    at_least: int | None
    deadline_s: int
    cancelled_after_s: float | None = None


@dataclass
class Fate:
    """What became of a job at its analyst.

    Attributes:
        sql: The question.
        since_s: When it was first seen, in seconds from the beginning.
        settled_s: When it came to its end.
        result: The answer.
        code: Why there is none.
        errors: Codes of what was raised on the way.
    """

    sql: str
    since_s: float
    settled_s: float = math.inf
    result: Result | None = None
    code: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether it has come to an end."""
        return self.result is not None or bool(self.code)


class AnalystMachine(Machine):
    """An analyst's: asks what it wishes for, and waits for all that is open, after a restart too."""

    def __init__(self, world: World, name: str, base: Path) -> None:
        super().__init__(world, name, base)
        self.wishes: list[Wish] = []
        self.asked: list[Wish] = []
        self.fates: dict[str, Fate] = {}
        self.idle = False

    def _died(self) -> None:
        self.idle = False

    async def _main(self) -> None:
        dialler = SimulatedDialler(self.world.network, self.endpoint)
        async with AsyncSession(Profile.load(self.home), clock=self.clock, dialler=dialler) as session:
            waiting: dict[str, asyncio.Task[None]] = {}
            asking: dict[asyncio.Task[None], None] = {}
            try:
                while not self._stop.is_set():
                    for wish in [one for one in self.wishes if one.at_s <= self.world.loop.time()]:
                        self.wishes.remove(wish)
                        self.asked.append(wish)
                        asking[self.world.loop.create_task(self._ask(session, wish))] = None
                    unsettled = self._open(session)
                    self.idle = not unsettled and all(task.done() for task in asking)
                    for job_id in unsettled:
                        if job_id not in waiting or waiting[job_id].done():
                            waiting[job_id] = self.world.loop.create_task(self._wait(session, job_id))
                    await asyncio.sleep(_LOOK_S)
            finally:
                for task in (*waiting.values(), *asking):
                    task.cancel()

    def _open(self, session: AsyncSession) -> list[str]:
        """Jobs of this profile that have not ended for it, in the order of asking."""
        records = [session.folder.load(job_id) for job_id in session.folder.known()]
        for record in records:
            self.fates.setdefault(record.job_id, Fate(record.sql, self.world.loop.time()))
        records.sort(key=lambda record: record.submitted_at)
        return [one.job_id for one in records if not self.fates[one.job_id].settled]

    async def _ask(self, session: AsyncSession, wish: Wish) -> None:
        endpoint = self.endpoint
        self.world.trace.note(self.name, f"asks {wish.sql}")
        try:
            job_id = await session.submit(
                wish.sql, at_least=wish.at_least, deadline_s=wish.deadline_s, seal="pad"
            )
        except KapokError as error:
            if endpoint.alive:
                self.world.trace.note(self.name, f"asking: {error.code}")
            return
        if wish.cancelled_after_s is not None:
            await asyncio.sleep(wish.cancelled_after_s)
            with contextlib.suppress(KapokError):
                await session.cancel(job_id)

    async def _wait(self, session: AsyncSession, job_id: str) -> None:
        """Wait as `kapok job wait` does; whoever sees that it can be taken up again does so."""
        fate, endpoint, job = self.fates[job_id], self.endpoint, self.world.trace.job(job_id)
        try:
            result = await session.wait(job_id)
        except KapokError as error:
            if not endpoint.alive:
                return
            fate.errors.append(error.code)
            self.world.trace.note(self.name, f"{job}: {error.code}")
            record = session.folder.load(job_id)
            if record.outcome != "open":
                fate.code, fate.settled_s = error.code, self.world.loop.time()
                self.world.checks.ended(self, job_id, error)
        except Exception as error:
            if endpoint.alive:
                self.world.wrong(f"{self.name} got {error!r} for {job}")
                fate.code = "defect"
        else:
            if endpoint.alive:
                fate.result, fate.settled_s = result, self.world.loop.time()
                self.world.trace.note(self.name, f"{job}: answered {result.rows}")
                self.world.checks.answered(self, job_id, result)
