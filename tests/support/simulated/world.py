"""A whole network under one seed: broker, four nodes and two analysts, and all that can happen to them."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import OperationalError

from kapok.errors import KapokError
from kapok.identity.names import Role
from support.broker import settle
from support.hospitals import NOW, Realm
from support.simulated.checks import Checks
from support.simulated.data import DATASET, DATASET_HASH, MIN_CELL, MIN_ROWS, Tables
from support.simulated.disk import Disks, watched
from support.simulated.kept import kept
from support.simulated.loop import NothingLeft, SimulatedLoop
from support.simulated.machines import AnalystMachine, BrokerMachine, Machine, NodeMachine
from support.simulated.network import ADDRESS, Network
from support.simulated.trace import Trace

NODES: Final = ("a", "b", "c", "d")
ANALYSTS: Final = ("one", "two")
STORM_S: Final = 16.0
"""For so long things go wrong; then everything heals, and everything must come to an end."""
LAST_S: Final = 240.0

_POLICY: Final = f"""
[[rule]]
analysts = ["spiffe://kapok.test/org/university/analyst/*"]
dataset = "clinic"
operations = ["count", "sum", "avg", "quantile"]
columns = ["*"]
questions = 100
min_rows = {MIN_ROWS}
min_cell = {MIN_CELL}
rounds = 8
seals = ["pad"]
approval = "automatic"
"""
_LIMITS: Final = "[limits]\nconsent_grace_s = 5.0\nseal_grace_s = 8.0\nupload_idle_s = 10.0\n"


class Wrong(AssertionError):
    """An invariant does not hold."""


class Ground:
    """What all runs of a process begin from: the folders as enrolment, publishing and joining left them."""

    def __init__(self) -> None:
        shared = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="kapok-", dir=shared if shared.is_dir() else None))
        self.realm = Realm()
        (self.folder / "data").mkdir()
        self.tables = Tables(self.folder / "data")
        self.homes: dict[str, Path] = {}
        base = self.folder / "base"
        self._furnish(base)
        run = World(self, random.Random(0), calm=True)
        run.play(self._prepare)
        for name, machine in run.machines.items():
            shutil.copytree(
                machine.home, base / f"{name}.ready", ignore=shutil.ignore_patterns("*-shm", "*.lock")
            )
            self.homes[name] = base / f"{name}.ready"
        run.clear()

    def _furnish(self, base: Path) -> None:
        base.mkdir()
        broker = self.realm.credentials("exchange", Role.BROKER, "main")
        self.homes["broker"] = settle(broker, base / "broker", ADDRESS, "error", _LIMITS)
        for name in NODES:
            home = settle(self.realm.credentials(name, Role.NODE, "main"), base / name)
            (home / "broker.toml").unlink()
            (home / "node.toml").write_text(
                f'broker = "{ADDRESS}"\nlog_level = "error"\n[datasets.clinic]\nhash = "{DATASET_HASH}"\n'
                f'[datasets.clinic.source]\nformat = "csv"\npath = "{self.tables.file(name)}"\n'
            )
            (home / "policy.toml").write_text(_POLICY)
            self.homes[name] = home
        for name in ANALYSTS:
            home = settle(self.realm.credentials("university", Role.ANALYST, name), base / name)
            (home / "broker.toml").unlink()
            (home / "analyst.toml").write_text(f'broker = "{ADDRESS}"\n')
            self.homes[name] = home

    async def _prepare(self, world: World) -> None:
        """Everybody is up, the dataset is published, and everybody has joined it."""
        from kapok.client.profile import Profile
        from kapok.client.session import AsyncSession
        from support.simulated.calls import SimulatedDialler
        from support.simulated.network import Endpoint

        world.machines["broker"].start()
        await asyncio.sleep(1)
        analyst = world.machines["one"]
        dialler = SimulatedDialler(world.network, Endpoint("one"))
        async with AsyncSession(Profile.load(analyst.home), clock=analyst.clock, dialler=dialler) as session:
            await session.publish_dataset(DATASET)
            for name in NODES:
                world.machines[name].start()
            await asyncio.sleep(20)
            assert len((await session.dataset("clinic")).members) == len(NODES)
        for name in (*NODES, "broker"):
            world.machines[name].terminate()
            machine: Any = world.machines[name]
            await machine._task

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


class World:
    """One run."""

    def __init__(self, ground: Ground, source: random.Random, *, calm: bool = False) -> None:
        self.ground, self.source, self.tables = ground, source, ground.tables
        self.epoch = NOW if calm else NOW + 3600
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=ground.folder))
        self.loop = SimulatedLoop(source)
        self.trace = Trace(self.loop.time)
        self.network = Network(self.loop, source, self.trace)
        self.disks = Disks(self.folder)
        self.checks = Checks(self)
        self.network.sent, self.network.taken = self.checks.sent, self.checks.taken
        self.nodes = NODES
        self.over = False
        # Of two that have forgotten, one could bring the other to a second cohort.
        self.may_roll_back = True
        self.faults: list[str] = []
        kinds: dict[str, type[Machine]] = {"broker": BrokerMachine}
        kinds |= dict.fromkeys(NODES, NodeMachine) | dict.fromkeys(ANALYSTS, AnalystMachine)
        self.machines = {name: kind(self, name, ground.homes[name]) for name, kind in kinds.items()}

    @property
    def analysts(self) -> list[AnalystMachine]:
        """Those who ask."""
        return [one for one in self.machines.values() if isinstance(one, AnalystMachine)]

    def wrong(self, what: str) -> None:
        """Note that an invariant does not hold: the run fails."""
        if not self.over:
            self.trace.note("WRONG", what)
            self.faults.append(what)

    def defect(self, error: BaseException) -> None:
        """Somebody has logged an error that is not Kapok's own."""
        self.wrong(f"a defect: {error!r}")

    def _unheard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something failed and nobody waited for it."""
        error = context.get("exception")
        if error is not None and not isinstance(error, KapokError):
            self.wrong(f"{context['message'].partition(chr(10))[0]}: {error!r}")

    def play(self, story: Callable[[World], Awaitable[None]]) -> None:
        """Run a story to its end, and put everything away."""
        collecting = gc.isenabled()
        gc.disable()  # iterators are put away when nobody holds them any more, not at some time later
        try:
            with _heard(self), watched(self.disks), kept(), self.tables.kept():
                asyncio.set_event_loop(self.loop)
                self.loop.set_exception_handler(self._unheard)
                try:
                    self.loop.run_until_complete(self._whole(story))
                except NothingLeft:
                    self.wrong("nobody waits for anything that will ever come")
                finally:
                    asyncio.set_event_loop(None)
                    self.loop.close()
        finally:
            self.checks.close()
            if collecting:
                gc.enable()

    async def _whole(self, story: Callable[[World], Awaitable[None]]) -> None:
        try:
            await story(self)
        finally:
            self.over = True
            for machine in self.machines.values():
                await machine.put_away()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    def clear(self) -> None:
        """Remove the files of the run."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def _heard(world: World) -> Iterator[None]:
    """What daemons log is part of the trace; a defect that they log is one."""

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if world.over:
                return
            error = record.exc_info[1] if record.exc_info else None
            job = getattr(record, "job", "")
            more = [world.trace.job(job)] if job else []
            more += [str(value) for key in ("code",) if (value := getattr(record, key, ""))]
            world.trace.note("log", " ".join([record.name, record.getMessage(), *more]))
            if record.levelno >= logging.ERROR and not isinstance(
                error, (KapokError, OperationalError, type(None))
            ):
                world.defect(error)

    logger, ear = logging.getLogger("kapok"), Ear(logging.WARNING)
    root = logging.getLogger()
    before, propagate, of_all = logger.level, logger.propagate, root.level
    logger.addHandler(ear)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(before)
        logger.propagate = propagate
        root.setLevel(of_all)  # which the daemons have set
