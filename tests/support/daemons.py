"""A broker, hospitals and an analyst as daemons in a test's own event loop, over real TLS on loopback."""

import asyncio
import csv
import json
import logging
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from kapok.broker.app import run as run_broker
from kapok.documents.dataset import DATASET_TYP
from kapok.documents.envelope import JwsSigner, decode
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.identity.names import Role
from kapok.nodes.app import run
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.channel import connect
from kapok.wire.messages import JobState

COUNT = "SELECT COUNT(*) FROM clinic"
RULE = """
[[rule]]
analysts = ["spiffe://kapok.test/org/university/analyst/*"]
dataset = "clinic"
operations = ["count", "sum", "avg"]
columns = ["*"]
questions = 100
min_rows = 5
min_cell = 3
seals = ["paillier", "pad"]
approval = "{approval}"
"""


@pytest.fixture
def logging_restored():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


def furnish(home, credentials):
    """A home folder as enrolment leaves it."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    identity = home / "identity"
    identity.mkdir(mode=0o700)
    for name, content in {
        "key.pem": credentials.key_pem(),
        "certificate.pem": credentials.certificate_pem,
        "root.pem": credentials.root_pem,
    }.items():
        (identity / name).write_bytes(content)
        (identity / name).chmod(0o600)
    return home


class Daemon:
    """One daemon in the test's own event loop."""

    def __init__(self, main, home):
        self._main, self.home = main, home
        self.address = None

    async def start(self):
        self._stop, said = asyncio.Event(), asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._main(self.home, ready=said.set_result, stop=self._stop))
        await asyncio.wait((self._task, said), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        self.address = said.result()
        return self

    async def stop(self):
        self._stop.set()
        await self._task


class Network:
    """A broker, three hospitals and an analyst."""

    def __init__(self, folder, realm, dataset, host="127.0.0.1"):
        self.folder, self.realm, self.dataset, self.host = folder, realm, dataset, host
        self.nodes = {}

    def credentials(self, letter):
        return self.realm.credentials(letter, Role.NODE, "main")

    async def open(self, settings=""):
        credentials = self.realm.credentials("exchange", Role.BROKER, "main", hosts=(self.host,))
        home = furnish(self.folder / "broker", credentials)
        (home / "broker.toml").write_text(f'listen = "{self.host}:0"\n' + settings)
        self.broker = await Daemon(run_broker, home).start()
        self.analyst = self.realm.credentials("university", Role.ANALYST, "one")
        self.line = await connect(self.analyst, self.broker.address)
        document = JwsSigner(self.analyst).sign(DATASET_TYP, self.dataset.to_payload())
        self.hash = await self.line.catalogue.publish_dataset(document)

    def furnish(self, letter, rows=30, approval="automatic", broker=None):
        home = furnish(self.folder / letter, self.credentials(letter))
        (home / "node.toml").write_text(
            f'broker = {json.dumps(broker or self.broker.address)}\n[datasets.clinic]\nhash = "{self.hash}"\n'
            '[datasets.clinic.source]\nformat = "csv"\npath = "patients.csv"\n'
        )
        (home / "policy.toml").write_text(RULE.format(approval=approval))
        with (home / "patients.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("age", "sex", "smoker"), *[(40, 1, "no")] * rows])
        self.nodes[letter] = Daemon(run, home)
        return self.nodes[letter]

    async def members(self):
        """Names of connected members with their tag keys, once all of this network's nodes are there."""
        entry = await self.line.catalogue.dataset(self.hash)
        verifier = self.job_world().verifier
        found = {}
        for token in entry.memberships:
            signed = verifier.verify(MEMBERSHIP_TYP, token)
            if signed.signer.name in entry.connected:
                found[signed.signer.name] = decode(Membership, signed.payload).tag_key
        return found

    def job_world(self):
        from kapok.documents.envelope import JwsVerifier

        return SimpleNamespace(
            realm=self.realm, clock=time.time, nodes={}, verifier=JwsVerifier(self.realm.root.pem)
        )

    async def joined(self, count):
        async with asyncio.timeout(120):
            while len(found := await self.members()) != count:
                await asyncio.sleep(0.05)
        return found

    def officer(self, letter):
        home = furnish(
            self.folder / f"officer-{letter}", self.realm.credentials(letter, Role.OFFICER, "chief")
        )
        (home / "analyst.toml").write_text(f'broker = "{self.broker.address}"\n')
        return home

    async def submit(self, make_job, sql=COUNT, deadline_s=30, nodes=None, keys=None):
        nodes = nodes or self.nodes
        world, keys = self.job_world(), keys or await self.joined(len(self.nodes))
        world.nodes = {
            letter: SimpleNamespace(
                name=str(self.credentials(letter).name),
                credentials=self.credentials(letter),
                tag_key=SimpleNamespace(public=keys[str(self.credentials(letter).name)]),
            )
            for letter in nodes
        }
        job = make_job(world, sql, deadline=time.time() + deadline_s)
        assert await self.line.analyst.submit(job.token) == job.id
        return job

    async def ended(self, job):
        async with asyncio.timeout(180):
            while True:
                status = await self.line.analyst.job(job.id)
                if status.state in (JobState.SUMMED, JobState.FAILED):
                    return status
                await asyncio.sleep(0.05)

    async def answer(self, job):
        status = await self.ended(job)
        assert status.state is JobState.SUMMED, status
        evidence, *chunks = [part async for part in self.line.analyst.fetch(job.id)]
        assert isinstance(evidence, Evidence)
        seals = [SimpleNamespace(token=token) for token in evidence.seals]
        job.fold = lambda _seals: chunks
        opened = job.unseal(evidence.consents, seals, evidence.releases, evidence.attempt)
        return job.answer(opened).rows

    async def close(self):
        await self.line.close()
        await self.broker.stop()


@pytest.fixture
def network(tmp_path, dataset, make_realm, logging_restored):
    @asynccontextmanager
    async def opened(**given):
        network = Network(tmp_path, make_realm(time.time()), dataset, **given)
        await network.open()
        try:
            yield network
        finally:
            await network.close()

    return opened
