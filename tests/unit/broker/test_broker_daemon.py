"""The daemon on loopback: real TLS, real files, a whole job over the wire, stops and starts."""

import asyncio
import contextlib
import importlib.resources
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest
from support.broker import settle

from kapok.broker import app
from kapok.broker.handlers import Edge
from kapok.broker.presence import Presence
from kapok.broker.settings import BrokerSettings
from kapok.broker.wakeups import Wakeups
from kapok.broker.worker import Worker
from kapok.documents.envelope import JwsVerifier
from kapok.errors import IdentityInvalid, InvalidInput, KapokError, NotFound, Unavailable
from kapok.settings import load
from kapok.wire.channel import connect
from kapok.wire.health import Health
from kapok.wire.messages import Closed, Idle, JobState, Offer

RUN = "import asyncio, sys; from kapok.broker.app import run; asyncio.run(run(sys.argv[1], ready=print))"
PATIENCE_S = 60


class Calls:
    """Stands where the logic stands for a node in one process, and keeps what is to be sent."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple]] = []

    def __getattr__(self, verb):
        return lambda _caller, *arguments: self.made.append((verb, arguments))


class Remote:
    """What nodes and analysts know of a broker elsewhere."""

    def __init__(self, parties, organisations=("ash", "birch", "cedar", "dogwood")) -> None:
        self.clock = time.time
        self.domain = parties.Domain(time.time())
        self.verifier = JwsVerifier(self.domain.root.pem)
        self.tag_seed = secrets.token_bytes(32)
        self.jobs = self.catalogue = Calls()
        self.dataset_hash = ""
        self.ada = parties.Analyst(self, "university", "ada")
        self.nodes = {}
        for index, organisation in enumerate(organisations):
            credentials = self.domain.credentials(organisation, "node", "node")
            node = parties.Node(self, credentials, [index, -index, 10**index])
            self.nodes[str(node.name)] = node
        self.broker = self.domain.credentials("exchange", "broker", "main")

    def organisation_of(self, _job_id: str) -> str:
        return self.ada.name.organisation_id

    def truth(self) -> list[int]:
        return [sum(column) for column in zip(*(n.contribution for n in self.nodes.values()), strict=True)]

    async def send(self, connection) -> None:
        """Send what a node's last step asked for."""
        made, self.jobs.made[:] = list(self.jobs.made), []
        for verb, arguments in made:
            with contextlib.suppress(KapokError):
                await getattr(connection.node, verb)(*arguments)

    async def work(self, node, address: str) -> None:
        """A node that dials again whenever it is cut off."""
        while True:
            with contextlib.suppress(Unavailable):
                async with await connect(node.credentials, address) as connection:
                    async for assignment in connection.node.watch():
                        node.handle(assignment)
                        await self.send(connection)
            await asyncio.sleep(0.05)

    async def publish(self, connection) -> None:
        self.dataset_hash = await connection.catalogue.publish_dataset(self.ada.dataset())

    async def join(self, address: str) -> None:
        for node in self.nodes.values():
            async with await connect(node.credentials, address) as connection:
                node.join()
                await self.send(connection)


@contextlib.asynccontextmanager
async def running(home: Path):
    """A broker in this process; yields its address."""
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(home, ready=address.set_result, stop=stop))
    try:
        await asyncio.wait({task, address}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield address.result()
    finally:
        stop.set()
        await task


@contextlib.asynccontextmanager
async def working(remote, address, nodes=None):
    tasks = [asyncio.create_task(remote.work(node, address)) for node in nodes or remote.nodes.values()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def open_for_business(remote, home):
    """A running broker that knows the dataset and its members; yields its address and the analyst's line."""
    async with (
        asyncio.timeout(PATIENCE_S),
        running(home) as address,
        await connect(remote.ada.credentials, address) as line,
    ):
        await remote.publish(line)
        await remote.join(address)
        yield address, line


@pytest.fixture
def remote(parties):
    return Remote(parties)


@pytest.fixture
def home(remote, tmp_path):
    return settle(remote.broker, tmp_path / "broker")


async def test_a_whole_job_over_the_wire(remote, home):
    ada = remote.ada
    async with open_for_business(remote, home) as (address, connection):
        [entry] = await connection.catalogue.datasets("heart")
        assert (len(entry.memberships), entry.connected) == (4, ())
        asked = ada.prepare()
        assert await connection.analyst.submit(asked.token) == asked.id
        seen = []
        async with working(remote, address):
            async for status in connection.analyst.watch(asked.id):
                seen.append(status.state)
                if status.state is JobState.SUMMED:
                    break
            entry = await connection.catalogue.dataset(remote.dataset_hash)
            assert entry.connected == tuple(remote.nodes)
        assert list(dict.fromkeys(seen)) == [
            JobState.GATHERING,
            JobState.SEALING,
            JobState.RELEASING,
            JobState.SUMMED,
        ]
        evidence, *chunks = [part async for part in connection.analyst.fetch(asked.id)]
        assert ada.read(asked, evidence, chunks) == remote.truth()
        await connection.analyst.acknowledge(asked.id)
        assert [status.state for status in await connection.analyst.jobs()] == [JobState.FINISHED]
        with pytest.raises(NotFound):
            await connection.analyst.job("0" * 64)


async def test_a_broker_that_stops_and_starts_goes_on_with_its_jobs(remote, home):
    ada = remote.ada
    async with open_for_business(remote, home) as (address, connection):
        asked = ada.prepare()
        await connection.analyst.submit(asked.token)
        async with working(remote, address, list(remote.nodes.values())[:2]):
            while len((await connection.analyst.job(asked.id)).waiting_for) > 2:
                await asyncio.sleep(0.02)
    async with open_for_business(remote, home) as (address, connection):
        async with working(remote, address):
            while (await connection.analyst.job(asked.id)).state is not JobState.SUMMED:
                await asyncio.sleep(0.02)
        evidence, *chunks = [part async for part in connection.analyst.fetch(asked.id)]
        assert ada.read(asked, evidence, chunks) == remote.truth()
        assert evidence.attempt == 1


async def test_a_watch_begins_idle_then_brings_what_is_owed_now_and_later(remote, home):
    ada, node = remote.ada, next(iter(remote.nodes.values()))
    async with (
        open_for_business(remote, home) as (address, connection),
        await connect(node.credentials, address) as line,
    ):
        first, second = ada.prepare(), ada.prepare()
        await connection.analyst.submit(first.token)
        watch = line.node.watch()
        assert [await anext(watch), await anext(watch)] == [Idle(), Offer(first.token)]
        await connection.analyst.submit(second.token)
        assert await anext(watch) == Offer(second.token)
        await connection.analyst.cancel(first.id)
        assert await anext(watch) == Closed(first.id)
        await watch.aclose()


async def test_a_refused_upload_is_told_to_its_sender(remote, home):
    ada, nodes = remote.ada, list(remote.nodes.values())
    async with open_for_business(remote, home) as (address, connection):
        asked = ada.prepare()
        await connection.analyst.submit(asked.token)
        for node in nodes:
            node.handle(Offer(asked.token))
        made, remote.jobs.made[:] = list(remote.jobs.made), []
        for node, (_, arguments) in zip(nodes, made, strict=True):
            async with await connect(node.credentials, address) as line:
                await line.node.consent(*arguments)
        async with await connect(nodes[0].credentials, address) as line:
            watch = line.node.watch()
            await anext(watch)
            sealed = nodes[0].sealed(await anext(watch))
            bad = (bytes(len(sealed.chunks[0])), *sealed.chunks[1:])
            with pytest.raises(KapokError) as caught:
                await line.node.seal(asked.id, sealed.token, bad)
            assert (caught.value.code, caught.value.party) == ("digest_differs", str(nodes[0].name))
            await line.node.seal(asked.id, sealed.token, sealed.chunks)
            await watch.aclose()
        status = await connection.analyst.job(asked.id)
        assert status.waiting_for == tuple(remote.nodes)[1:]


async def test_an_upload_that_stands_still_is_cut_off(remote, tmp_path):
    home = settle(remote.broker, tmp_path / "broker", more="[limits]\nupload_idle_s = 0.2\n")
    ada, nodes = remote.ada, list(remote.nodes.values())
    async with open_for_business(remote, home) as (address, connection):
        asked = ada.prepare()
        await connection.analyst.submit(asked.token)
        async with working(remote, address, nodes[1:]):
            while len((await connection.analyst.job(asked.id)).waiting_for) > 1:
                await asyncio.sleep(0.02)
        async with await connect(nodes[0].credentials, address) as line:
            watch = line.node.watch()
            await anext(watch)
            nodes[0].handle(await anext(watch))
            await remote.send(line)
            sealed = nodes[0].sealed(await anext(watch))
            going_on = asyncio.Event()

            async def slowly():
                yield sealed.chunks[0]
                await going_on.wait()

            upload = asyncio.create_task(line.node.seal(asked.id, sealed.token, slowly()))
            await asyncio.sleep(0.6)
            going_on.set()
            with pytest.raises(Unavailable) as caught:
                await upload
            assert caught.value.code == "upload_stalled"
            await watch.aclose()


async def test_a_broker_whose_store_cannot_be_used_is_not_well_until_it_can(remote, home):
    async with open_for_business(remote, home) as (_, connection):
        assert (await connection.health.check())[0]
        with contextlib.closing(sqlite3.connect(home / "broker.db", isolation_level=None)) as another:
            another.execute("ALTER TABLE attempt RENAME TO gone")
            while (await connection.health.check("kapok.wire.v1.NodeService"))[0]:
                await asyncio.sleep(0.05)
            another.execute("ALTER TABLE gone RENAME TO attempt")
        while not (await connection.health.check())[0]:
            await asyncio.sleep(0.05)


async def test_a_sum_that_cannot_be_made_holds_up_neither_the_others_nor_the_clock(caplog):
    folded, ticked, alive = [], asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def fold_some(job_id):
        folded.append(job_id)
        if job_id == "bad":
            raise KeyError("a defect")
        return folded.count(job_id) < 3

    jobs = SimpleNamespace(
        unfolded=lambda: ["bad", "good"],
        fold_some=fold_some,
        tick=lambda: loop.call_soon_threadsafe(ticked.set),
        note_alive=lambda: loop.call_soon_threadsafe(alive.set),
    )
    worker = Worker()
    edge = Edge(worker, Wakeups(loop), Presence(), upload_idle_s=1.0)
    keeping = asyncio.create_task(app._keep_house(edge, jobs, Health(())))
    async with asyncio.timeout(30):
        await ticked.wait()
        await alive.wait()
    keeping.cancel()
    worker.close()
    assert folded[:4] == ["bad", "good", "good", "good"]
    (said,) = {one.getMessage() for one in caplog.records if one.exc_info}
    assert said == "a sum cannot be made"


async def test_a_broker_that_waits_for_its_disk_is_not_well_meanwhile(remote, home, monkeypatch, caplog):
    """Nothing has failed yet: it does not come to anything else."""
    monkeypatch.setattr(app, "_STUCK_S", 0.2)
    monkeypatch.setattr(app, "_LOOK_S", 0.05)
    async with open_for_business(remote, home) as (_, connection):
        with contextlib.closing(sqlite3.connect(home / "broker.db", isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            asked = asyncio.create_task(connection.analyst.submit(remote.ada.prepare().token))
            while (await connection.health.check())[0]:
                await asyncio.sleep(0.05)
            assert not asked.done()
            another.execute("ROLLBACK")
        await asked
        while not (await connection.health.check())[0]:
            await asyncio.sleep(0.05)
    assert "the store has not answered for 0.2 s" in [one.getMessage() for one in caplog.records]


# Starting and stopping


async def test_only_a_brokers_folder_is_served(remote, tmp_path):
    home = settle(remote.ada.credentials, tmp_path / "ada")
    with pytest.raises(InvalidInput) as caught:
        await app.run(home)
    assert caught.value.code == "wrong_role"


async def test_a_second_broker_over_the_same_folder_is_refused(home):
    async with running(home):
        with pytest.raises(InvalidInput) as caught:
            await app.run(home)
    assert caught.value.code == "already_running"


async def test_a_port_in_use_is_said_plainly_and_the_folder_is_free_again(remote, home, tmp_path):
    async with running(home) as address:
        other = settle(remote.broker, tmp_path / "other", listen=address)
        with pytest.raises(InvalidInput) as caught:
            await app.run(other)
        assert caught.value.code == "port_in_use"
    (other / "broker.toml").write_text('listen = "127.0.0.1:0"\n')
    async with running(other):
        pass


async def test_missing_identity_or_settings_and_misspelt_keys_are_told(remote, home, tmp_path):
    with pytest.raises((NotFound, IdentityInvalid)):
        await app.run(tmp_path / "nowhere")
    (home / "broker.toml").write_text('listn = "127.0.0.1:0"\n')
    with pytest.raises(InvalidInput, match="listn"):
        await app.run(home)
    (home / "broker.toml").write_text("[limits]\nopen_jobs_max = 0\n")
    with pytest.raises(InvalidInput, match="open_jobs_max"):
        await app.run(home)
    (home / "broker.toml").unlink()
    with pytest.raises(NotFound):
        await app.run(home)


def test_the_template_is_valid_and_says_the_values_that_hold_without_it(tmp_path):
    text = (importlib.resources.files("kapok.broker") / "broker.toml").read_text()
    (tmp_path / "broker.toml").write_text(text)
    assert load(tmp_path / "broker.toml", BrokerSettings) == BrokerSettings()
    written = tomllib.loads(text)
    builtin = msgspec.to_builtins(BrokerSettings())
    assert written.keys() == builtin.keys()
    assert written["limits"].keys() == builtin["limits"].keys()


def test_sigterm_ends_the_process_cleanly_and_an_idle_broker_is_small(home):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().startswith("127.0.0.1:")
        assert psutil.Process(process.pid).memory_info().rss < 150 * 2**20
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")
