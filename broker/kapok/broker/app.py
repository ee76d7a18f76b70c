"""The broker daemon: here its parts are wired together.

    settings, credentials ─▶ store ─▶ context ─▶ Jobs, Catalogue, Reopenings ─▶ handlers ─▶ kapok.wire.server
                                                  ▲
                                             housekeeping: the clock, and the folding of sums

Everything goes on from the store after a restart. SIGTERM and Ctrl-C end watches at once and give calls in
flight some seconds; what they had not finished is sent again by whoever began it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from kapok.broker.catalogue import Catalogue
from kapok.broker.computation import peers
from kapok.broker.computation.context import Context
from kapok.broker.computation.jobs import Jobs
from kapok.broker.greeter import Greeter
from kapok.broker.handlers import (
    UPLOADED,
    BrokerAnalystHandler,
    BrokerCatalogueHandler,
    BrokerNodeHandler,
    BrokerOfficerHandler,
    Edge,
)
from kapok.broker.inquiries import Inquiries
from kapok.broker.metrics import BrokerMetrics
from kapok.broker.presence import Presence
from kapok.broker.reopenings import Reopenings
from kapok.broker.revoking import Revoking
from kapok.broker.settings import BrokerSettings
from kapok.broker.store import Store
from kapok.broker.wakeups import Wakeups, woken
from kapok.broker.worker import Worker
from kapok.daemon import alone, room_for_connections, stopped_by_sigterm
from kapok.daemon.chores import kept_going
from kapok.daemon.metrics import metrics_served
from kapok.documents.envelope import JwsVerifier
from kapok.errors import KapokError, Unavailable
from kapok.identity.credentials import Credentials
from kapok.identity.expiry import expires, warned_daily
from kapok.identity.keyfiles import read_private_file
from kapok.identity.names import Role
from kapok.identity.renewal import Current
from kapok.identity.revocation import Revocations
from kapok.logs import about, configure, traces
from kapok.logs.lasting import Lasting
from kapok.settings import load
from kapok.wire.handlers import BrokerHandlers
from kapok.wire.health import Health
from kapok.wire.limits import Limits as WireLimits
from kapok.wire.server import RunningServer, serve

__all__ = ["SETTINGS_FILE", "STORE_PASSWORD", "run", "store_password", "store_place"]

SETTINGS_FILE: Final = "broker.toml"
STORE_PASSWORD: Final = "KAPOK_STORE_PASSWORD"  # noqa: S105 - the name of a variable of the environment
_TICK_S: Final = 1.0
# Longer than PostgreSQL or SQLite let anybody wait: what takes longer is a disk or a network that hangs.
_STUCK_S: Final = 40.0
_STUCK_REMEDY: Final = "look at the disk, or at the network to PostgreSQL; else start the broker anew"
_LOOK_S: Final = 10.0
_log = logging.getLogger(__name__)

Clock = Callable[[], float]


class Serving(Protocol):
    """As `kapok.wire.server.serve`."""

    async def __call__(
        self,
        credentials: Credentials,
        address: str,
        handlers: BrokerHandlers,
        *,
        limits: WireLimits,
        current: Callable[[], Credentials],
        revocations: Revocations,
    ) -> RunningServer:
        """Answer calls from now on."""
        ...


async def run(
    home: Path | str,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    passphrase: str | None = None,
    clock: Clock = time.time,
    serving: Serving = serve,
) -> None:
    """Serve analysts and nodes until SIGTERM, or until `stop` is set.

    Args:
        home: The broker's folder: identity, ``broker.toml``, and its database unless the settings say
            otherwise.
        ready: Called once with the address, when calls are answered.
        stop: Ends it, where given.
        passphrase: Opens the private key; else that of the environment variable ``KAPOK_PASSPHRASE``.
        clock: Seconds since the epoch.
        serving: Answers calls from outside, as `kapok.wire.server.serve` does.

    Raises:
        NotFound: ``no_identity`` or ``no_settings``.
        IdentityInvalid: a key or certificate is wrong.
        InvalidInput: ``wrong_role``, ``already_running``, ``port_in_use``, or what is wrong with the
            settings.
        Unavailable: the database does not answer.
    """
    home = Path(home)
    credentials = Credentials.load(home, passphrase, role=Role.BROKER, clock=clock)
    settings = load(home / SETTINGS_FILE, BrokerSettings)
    configure(sys.stderr, settings.log_level, settings.log_format)
    traces.configure("broker", settings.traces)
    stop = stop or asyncio.Event()
    files = room_for_connections()
    with alone(home, "broker"), stopped_by_sigterm(stop):
        store = Store.open(store_place(home, settings.store), store_password(home, settings))
        try:
            current, revocations = (
                Current(home, credentials, passphrase, clock),
                Revocations(credentials.root),
            )
            async with (
                _served(current, revocations, settings, store, clock, serving) as server,
                current.kept_up(),
                warned_daily(lambda: current.now, clock, revocations.overdue),
            ):
                where = {"address": server.address, "party": str(credentials.name), "files": files}
                _log.info("broker listens", extra=where)
                if ready is not None:
                    ready(server.address)
                await stop.wait()
        finally:
            store.close()


@asynccontextmanager
async def _served(
    current: Current,
    revocations: Revocations,
    settings: BrokerSettings,
    store: Store,
    clock: Clock,
    serving: Serving,
) -> AsyncIterator[RunningServer]:
    """The running server with everything behind it; drained and put away in the end."""
    wakeups, presence, worker = Wakeups(asyncio.get_running_loop()), Presence(), Worker(store.group_commit)
    edge = Edge(worker, wakeups, presence, settings.limits.upload_idle_s)
    metrics = BrokerMetrics(store, presence, lambda: expires(current.now))
    root = current.now.root
    verifier = JwsVerifier(root.pem, clock, revocations.revokes)
    told: dict[str, Any] = {"announce": wakeups.announce, "observe": metrics.moved}
    context = Context(store, verifier, clock, settings.limits, connected=presence.connected, **told)
    jobs, revoking = Jobs(context), Revoking(context, root, revocations)
    try:
        await worker.run(jobs.resume)
        await revoking.load(worker)
        greeter = Greeter(lambda: current.now, revocations)
        server = await serving(
            current.now,
            settings.listen,
            _handlers(context, edge, jobs, revoking, greeter, revocations),
            limits=settings.limits.wire,
            current=lambda: current.now,
            revocations=revocations,
        )
        metrics.tell_server(server.traffic, server.health)
        async with (
            kept_going("housekeeping", partial(_keep_house, edge, jobs, server.health)),
            kept_going("the look for revocations", partial(revoking.run, worker, wakeups)),
            kept_going("the look at the store", partial(_see_it_answer, worker, server.health)),
        ):
            try:
                with metrics_served(metrics.registry, settings.metrics_address):
                    async with _among_peers(context, presence, wakeups):
                        yield server
            finally:
                await server.stop(settings.drain_s)
                _log.info("broker stopped", extra=asdict(server.traffic))
    finally:
        worker.close()


def _handlers(
    context: Context,
    edge: Edge,
    jobs: Jobs,
    revoking: Revoking,
    greeter: Greeter,
    revocations: Revocations,
) -> BrokerHandlers:
    """What answers the calls of each audience."""
    connected = edge.presence.connected
    catalogue, reopenings = Catalogue(context, connected), Reopenings(context)
    inquiries = Inquiries(context, edge.worker, edge.wakeups, connected)
    return BrokerHandlers(
        catalogue=BrokerCatalogueHandler(edge, catalogue, revoking, greeter),
        analysts=BrokerAnalystHandler(edge, jobs, inquiries),
        nodes=BrokerNodeHandler(edge, catalogue, jobs, reopenings, inquiries, revocations),
        officers=BrokerOfficerHandler(edge, reopenings),
    )


@asynccontextmanager
async def _among_peers(context: Context, presence: Presence, wakeups: Wakeups) -> AsyncIterator[None]:
    """Be one of the processes on a store that they share; alone on SQLite."""
    if not context.store.shared:
        yield
        return
    # Not in the worker's thread: what it has to do may take longer than a living process may be silent.
    try:
        async with kept_going("the heartbeat", partial(_beat, context, presence), _TICK_S):
            with context.store.heard(wakeups.wake):
                yield
    finally:
        with suppress(KapokError):
            await asyncio.to_thread(peers.leave, context)


async def _beat(context: Context, presence: Presence) -> None:
    silent = Lasting(_log)
    while True:
        try:
            presence.elsewhere = await asyncio.to_thread(peers.beat, context, presence.here)
            silent.over("the other brokers are heard of again")
        except KapokError as error:
            silent.tell(error.code, "the other brokers are not heard of just now", error=error)
        await asyncio.sleep(_TICK_S)


async def _keep_house(edge: Edge, jobs: Jobs, health: Health) -> None:
    """Fold what there is to fold, do each second what the clock asks for, and say whether that goes well."""
    loop, ticked, wrote = asyncio.get_running_loop(), -math.inf, -math.inf
    failing, sums, run = Lasting(_log), Lasting(_log), edge.worker.run
    with edge.wakeups.listen(UPLOADED) as uploaded:
        while True:
            uploaded.clear()
            try:
                for job_id in await run(jobs.unfolded):
                    await _fold(edge.worker, jobs, job_id, sums)
                if loop.time() - ticked >= _TICK_S:
                    await run(jobs.tick)
                    ticked = loop.time()
                # Who only reads does not notice that the disk is full.
                if loop.time() - wrote >= _LOOK_S:
                    await run(jobs.note_alive)
                    wrote = loop.time()
                health.report(serving=True)
                failing.over("housekeeping goes on")
            except KapokError as error:
                health.report(serving=False)
                failing.tell(error.code, "housekeeping is tried again", error=error)
                await asyncio.sleep(_TICK_S)
            except Exception as error:  # noqa: BLE001 - nobody else would try it again
                what = "housekeeping goes on after a defect"
                failing.tell(type(error), what, level=logging.ERROR, error=error)
                await asyncio.sleep(_TICK_S)
            await woken(uploaded, _TICK_S)


async def _fold(worker: Worker, jobs: Jobs, job_id: str, failing: Lasting) -> None:
    """Make one job's sum. By what is wrong with one job neither the others' sums nor the clock stand still.

    Raises:
        Unavailable: ``store_unavailable``.
    """
    with about(job=job_id):
        try:
            while await worker.run(jobs.fold_some, job_id):
                pass
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job has a deadline
            failing.tell(job_id, "a sum cannot be made", level=logging.ERROR, error=error)


async def _see_it_answer(worker: Worker, health: Health) -> None:
    """Say that the store does not answer where the worker waits for it, and does not come to what comes next.

    Whoever waits with it is told by its own deadline; this is for whoever watches over the broker.
    """
    while True:
        answer = asyncio.ensure_future(worker.run(lambda: None))
        if not (await asyncio.wait({answer}, timeout=_STUCK_S))[0]:
            health.report(serving=False)
            _log.error("the store has not answered for %g s", _STUCK_S, extra={"remedy": _STUCK_REMEDY})
        with suppress(KapokError):
            await answer
        await asyncio.sleep(_LOOK_S)


def store_place(home: Path, store: str) -> Path | str:
    """Where the setting `store` says that the database is: a file, or a URL of PostgreSQL's."""
    return store if "://" in store else home / Path(store).expanduser()


def store_password(home: Path, settings: BrokerSettings) -> str | None:
    """The password of the database's user: of the environment, or of the file that the settings name.

    Raises:
        NotFound, IdentityInvalid: the file cannot be read, or others may read it.
    """
    if STORE_PASSWORD in os.environ:
        return os.environ[STORE_PASSWORD]
    if not settings.store_password_file:
        return None
    return read_private_file(home / Path(settings.store_password_file).expanduser()).decode().rstrip("\r\n")
