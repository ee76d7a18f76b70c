"""Four hospitals, daemons all, and as many analysts as are wanted, under a broker that follows a plot."""

import asyncio
import base64
import json
import logging
import sqlite3
import time
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest
import pytest_asyncio

from kapok.client.profile import Profile
from kapok.client.session import AsyncSession
from kapok.documents.envelope import JwsSigner, JwsVerifier, attached
from kapok.documents.statements import MEMBERSHIP_TYP
from kapok.errors import KapokError, TimedOut
from kapok.identity.names import Role
from kapok.protocols.masking.pairwise import MaskKey
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.messages import CONSENT_TYP, ConsentStatement, encode
from kapok.protocols.wraps import WrapKey
from kapok.wire.channel import connect
from kapok.wire.messages import JobState
from support.daemons import Network, furnish
from support.dishonest_broker import PATIENCE_S, Heard, Plot, plotting
from support.hospitals import DATASET, Job, Realm

ROWS = {"a": 31, "b": 37, "c": 41, "d": 53}
"""How many rows each hospital has: no two sets of hospitals have the same sum."""
COUNT = "SELECT COUNT(*) FROM clinic"
_MOST_UNIVERSITIES = 60
_ALLOWED = json.dumps(
    [f"spiffe://kapok.test/org/uni{number}/analyst/*" for number in range(_MOST_UNIVERSITIES)]
)


class Town(Network):
    """The hospitals a, b, c and d.

    What is released for a university fixes its cohort: each attack has a university of its own.

    Attributes:
        plot: What the broker does.
        university: The organisation that asks in this attack.
    """

    plot: Plot
    university = ""
    _universities = 0

    async def build(self, plot):
        self.plot, self.lines, self.asked = plot, {}, []
        await self.open("[limits]\nconsent_grace_s = 1.0\nseal_grace_s = 1.0\n")
        for letter, rows in ROWS.items():
            home = self.furnish(letter, rows=rows).home
            policy = home / "policy.toml"
            only = '["spiffe://kapok.test/org/university/analyst/*"]'
            text = policy.read_text().replace(only, _ALLOWED)
            policy.write_text(text.replace('"count", ', '"count", "quantile", '))
        await asyncio.gather(*(node.start() for node in self.nodes.values()))
        self.keys = await self.joined(len(ROWS))

    async def tear_down(self):
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        for line in self.lines.values():
            await line.close()
        await self.close()

    def begin(self):
        """Another attack: an honest broker, and a university that has never asked anything."""
        self.plot.honest()
        self.university = f"uni{self._universities}"
        self._universities += 1

    async def end(self):
        """The attack is over: its jobs are, too."""
        for job in self.asked:
            with suppress(KapokError):
                await (await self.line_of()).analyst.cancel(job.id)
        self.asked.clear()

    @property
    def verifier(self):
        return JwsVerifier(self.realm.root.pem)

    def name(self, letter):
        return str(self.credentials(letter).name)

    def credentials_of(self, role, organisation, name):
        """Any party's credentials: for forgeries by those who have them."""
        return self.realm.credentials(organisation, role, name)

    def signer(self, role, organisation, name):
        return JwsSigner(self.credentials_of(role, organisation, name))

    def spliced(self, head, payload, signature):
        """A token put together of what was signed apart."""
        return attached(f"{head}..{signature}", payload)

    def signer_of(self, token):
        """Who has signed a membership."""
        return self.verifier.verify(MEMBERSHIP_TYP, token).signer.name

    def altered(self, document):
        """A signed dataset whose number of rows is another."""
        head, payload, signature = document.split(".")
        raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return self.spliced(head, raw.replace(b"1000", b"2000"), signature)

    def consent_by(self, realm, job, letter, by=None):
        """A consent in a hospital's name with new keys, by credentials of this realm or by other ones."""
        credentials = by or realm.credentials(letter, Role.NODE, "main")
        statement = ConsentStatement(
            job=bytes.fromhex(job.id),
            name=self.name(letter),
            mask_key=MaskKey().public,
            wrap_key=WrapKey.generate().public,
            cohort=CohortStatement("fixed"),
        )
        return Heard(letter, "consent", job.id, JwsSigner(credentials).sign(CONSENT_TYP, encode(statement)))

    def job(self, sql=COUNT, letters="abcd", deadline_s=PATIENCE_S, **changes):
        """A question by hand, signed by this attack's university: whoever has it can open its sum."""
        world = SimpleNamespace(
            realm=self.realm,
            clock=time.time,
            verifier=self.verifier,
            nodes={
                letter: SimpleNamespace(
                    name=self.name(letter),
                    credentials=self.credentials(letter),
                    tag_key=SimpleNamespace(public=self.keys[self.name(letter)]),
                )
                for letter in letters
            },
        )
        given = {"organisation": self.university, "deadline": time.time() + deadline_s} | changes
        return Job(world, sql, **given)

    async def line_of(self, organisation=None):
        """A university's line to the broker."""
        credentials = self.realm.credentials(organisation or self.university, Role.ANALYST, "one")
        if organisation not in self.lines:
            self.lines[organisation or self.university] = await connect(credentials, self.broker.address)
        return self.lines[organisation or self.university]

    async def ask(self, sql=COUNT, letters="abcd", **changes):
        """Submit a question by hand."""
        job = self.job(sql, letters, **changes)
        self.asked.append(job)
        assert await (await self.line_of()).analyst.submit(job.token) == job.id
        return job

    async def fetched(self, job):
        """What the broker hands out of a job whose sum is ready."""
        evidence, *chunks = [part async for part in (await self.line_of()).analyst.fetch(job.id)]
        assert isinstance(evidence, Evidence)
        return evidence, chunks

    async def state(self, job, *states):
        """The job's status, once it is in one of these states."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(TimedOut):
                    status = await (await self.line_of()).analyst.job(job.id)
                    if status.state in states:
                        return status
                await asyncio.sleep(0.02)

    def tampers(self, node, kind, change):
        """A hospital sends something else in the place of its answers of one kind."""

        def answers(letter, given):
            if letter != node:
                return given
            return [change(one) if isinstance(one, kind) else one for one in given]

        self.plot.answers = answers

    def node_signer(self, letter):
        return self.signer(Role.NODE, letter, "main")

    async def fault(self, node, job, code):
        """Wait until the broker has noted that code against a hospital."""
        store = self.plot._jobs._context.store
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with store.snapshot() as tx:
                    member = tx.jobs.member(job.id, self.name(node))
                    if member.fault == code:
                        return True
                await asyncio.sleep(0.02)

    def opened(self, job, evidence, chunks):
        """The one number of an answer, opened by whoever asked."""
        job.fold = lambda _seals: chunks
        seals = [SimpleNamespace(token=token) for token in evidence.seals]
        opened = job.unseal(evidence.consents, seals, evidence.releases, evidence.attempt)
        [[number]] = job.answer(opened).rows
        return number

    async def answer_without_c(self, job):
        """The answer of a job that has gone on with the other three."""
        await self.state(job, JobState.SUMMED)
        evidence, chunks = await self.fetched(job)
        assert len(evidence.consents) == len(ROWS) - 1
        return self.opened(job, evidence, chunks)

    def session(self, tmp_path, seal="pad"):
        """This attack's university with Kapok's own client."""
        credentials = self.realm.credentials(self.university, Role.ANALYST, "one")
        home = furnish(tmp_path / self.university, credentials)
        lines = (f'broker = "{self.broker.address}"', f'seal = "{seal}"', "patience_s = 1", "key_bits = 2048")
        (home / "analyst.toml").write_text("\n".join(lines))
        return AsyncSession(Profile.load(home))

    def journal(self, letter, sql):
        """What a hospital's journal says."""
        path = self.nodes[letter].home / "state" / "journal.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def released(self, job):
        """The attempts, as (round, attempt), that hospitals have released of a job, by hospital."""
        found = {
            letter: self.journal(letter, f"SELECT round, attempt FROM release WHERE job_id = '{job.id}'")
            for letter in ROWS
        }
        return {letter: rows for letter, rows in found.items() if rows}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened_town(tmp_path_factory):
    """One town for a module's attacks."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch, plotting(patch) as plot:
        town = Town(tmp_path_factory.mktemp("town"), Realm(time.time()), DATASET)
        await town.build(plot)
        yield town
        await town.tear_down()
    root.handlers[:], root.level = before, level


@pytest_asyncio.fixture(loop_scope="module")
async def town(opened_town):
    """The town, as an attack finds it; what it leaves undone is cancelled."""
    opened_town.begin()
    yield opened_town
    await opened_town.end()
