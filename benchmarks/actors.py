"""Nodes and analysts that speak the broker's protocol and compute nothing, as a broker sees real ones."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import secrets
import time
from collections import OrderedDict
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from kapok.documents.dataset import DATASET_TYP, Column, Dataset
from kapok.documents.envelope import JwsSigner, JwsVerifier, decode, document_id
from kapok.documents.statements import JOB_TYP, MEMBERSHIP_TYP, JobSpec, Membership
from kapok.errors import KapokError, Unavailable
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.aggregator import chunk_lengths
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.messages import (
    CONSENT_TYP,
    RELEASE_TYP,
    SEAL_TYP,
    ConsentStatement,
    ReleaseStatement,
    SealStatement,
    encode,
)
from kapok.protocols.secure_sum.params import SUITE, SumTerms
from kapok.protocols.secure_sum.roster import Roster, read_roster
from kapok.protocols.wraps import WrapKey
from kapok.wire.channel import Connection, connect
from kapok.wire.messages import Assignment, Completion, JobState, Offer, OpenAttempt

DOMAIN: Final = "load.test"
WORDS: Final = 64
_DEADLINE_S: Final = 300
_PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0, *[4.0] * 12)


class Reached(Protocol):
    """Where the broker is now."""

    @property
    def address(self) -> str:
        """``host:port``."""
        ...


class Realm:
    """A trust domain, and what all of its light parties may share: one process plays them."""

    def __init__(self) -> None:
        self._key = generate_key()
        self.root = TrustRoot(new_root(self._key, DOMAIN, time.time()))
        self.verifier = JwsVerifier(self.root.pem)
        self.wrap_key = WrapKey.generate().public
        self._jobs: OrderedDict[str, tuple[JobSpec, SumTerms]] = OrderedDict()
        self._rosters: OrderedDict[tuple[str, int, int], Roster] = OrderedDict()

    def credentials(self, organisation: str, role: str, name: str) -> Credentials:
        """A party's, new."""
        key = generate_key()
        party = PartyName.parse(f"spiffe://{DOMAIN}/org/{organisation}/{role}/{name}")
        made = issue(self._key, self.root.certificate, key.public_key(), party, now=time.time())
        return Credentials(key, made, self.root, time.time())

    def furnish_broker(self, home: Path, store: str) -> Path:
        """A broker's folder as enrolment leaves it, with room for as many open jobs as are asked."""
        credentials = self.credentials("exchange", "broker", "main")
        (home / "identity").mkdir(parents=True, mode=0o700)
        for name, content in (
            ("key.pem", credentials.key_pem()),
            ("certificate.pem", credentials.certificate_pem),
            ("root.pem", credentials.root_pem),
        ):
            (home / "identity" / name).write_bytes(content)
            (home / "identity" / name).chmod(0o600)
        (home / "broker.toml").write_text(
            f'listen = "127.0.0.1:0"\nlog_level = "warning"\nstore = "{store}"\n'
        )
        return home

    def job(self, token: str) -> tuple[JobSpec, SumTerms]:
        """A specification, read once for all nodes."""
        if token not in self._jobs:
            signed = self.verifier.verify(JOB_TYP, token)
            specification = decode(JobSpec, signed.payload)
            analyst = PartyName.parse(signed.signer.name)
            self._jobs[token] = (specification, specification.terms(document_id(signed.payload), analyst))
            if len(self._jobs) > 256:
                self._jobs.popitem(last=False)
        return self._jobs[token]

    def roster(self, terms: SumTerms, opened: OpenAttempt) -> Roster:
        """An attempt's roster, read once for all nodes."""
        key = (terms.job_id.hex(), opened.round, opened.attempt)
        if key not in self._rosters:
            self._rosters[key] = read_roster(terms, opened.consents, self.verifier)
            if len(self._rosters) > 256:
                self._rosters.popitem(last=False)
        return self._rosters[key]


class Party:
    """Somebody with credentials and a connection to the broker."""

    def __init__(self, realm: Realm, credentials: Credentials, broker: Reached) -> None:
        self.realm, self.credentials, self.broker = realm, credentials, broker
        self.name = credentials.name
        self.signer = JwsSigner(credentials)
        self.dataset = ""
        self.line: Connection | None = None

    async def reached(self) -> Connection:
        """The line, dialled when there is none."""
        if self.line is None:
            self.line = await connect(self.credentials, self.broker.address, timeout_s=60.0)
        return self.line

    async def hang_up(self) -> None:
        """End the line."""
        line, self.line = self.line, None
        if line is not None:
            await line.close()

    async def leave(self) -> None:
        """End everything."""
        await self.hang_up()


class Node(Party):
    """Consents to everything; seals noise; releases.

    Attributes:
        connected: Whether the broker has been heard on the watch that is open.
        again: How often an answer was sent anew.
    """

    def __init__(self, realm: Realm, organisation: str, broker: Reached) -> None:
        super().__init__(realm, realm.credentials(organisation, "node", "main"), broker)
        self.connected, self.again = False, 0
        self._mask_key = WrapKey.generate().public[-32:]
        self._release = secrets.token_bytes(1136)
        self._seals: dict[tuple[str, int, int], SealStatement] = {}
        self._task: asyncio.Task[None] | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def come(self) -> None:
        """Join, watch, and stay: as a daemon does, also after the broker was away."""
        line = await self.reached()
        payload = msgspec.json.encode(Membership(self.dataset, self.realm.wrap_key))
        await line.node.join(self.signer.sign(MEMBERSHIP_TYP, payload))
        self._task = asyncio.create_task(self._stay())

    async def leave(self) -> None:
        """End everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, *self._answers, return_exceptions=True)
        await self.hang_up()

    async def _stay(self) -> None:
        while True:
            with contextlib.suppress(KapokError):
                line = await self.reached()
                async with aclosing(line.node.watch()) as assignments:
                    async for assignment in assignments:
                        self.connected = True
                        task = asyncio.create_task(self._answer(line, assignment))
                        self._answers.add(task)
                        task.add_done_callback(self._answers.discard)
            self.connected = False
            await self.hang_up()
            await asyncio.sleep(random.uniform(0.2, 1.0))

    async def _answer(self, line: Connection, assignment: Assignment) -> None:
        """Answer, as a daemon does: while the broker has no room for it, again."""
        for pause_s in _PAUSES_S:
            try:
                await self._work_off(line, assignment)
            except Unavailable as error:
                self.again += 1
                await asyncio.sleep(error.retry_after_s or random.uniform(0.5, 1.0) * pause_s)
            except KapokError:
                break
            else:
                break

    async def _work_off(self, line: Connection, assignment: Assignment) -> None:
        match assignment:
            case Offer(specification):
                await self._consent(line, specification)
            case OpenAttempt():
                await self._seal(line, assignment)
            case Completion():
                await self._open(line, assignment)
            case _:
                pass

    async def _consent(self, line: Connection, token: str) -> None:
        _, terms = self.realm.job(token)
        statement = ConsentStatement(
            job=terms.job_id,
            name=str(self.name),
            mask_key=self._mask_key,
            wrap_key=self.realm.wrap_key[:-32] + self._mask_key,
            cohort=CohortStatement.of("free", []),
        )
        await line.node.consent(terms.job_id.hex(), self.signer.sign(CONSENT_TYP, encode(statement)))

    async def _seal(self, line: Connection, opened: OpenAttempt) -> None:
        specification, terms = self.realm.job(opened.specification)
        roster = self.realm.roster(terms, opened)
        chunks = [secrets.token_bytes(length) for length in chunk_lengths(terms, len(roster.members))]
        statement = SealStatement(
            job=terms.job_id,
            round=opened.round,
            attempt=opened.attempt,
            roster=roster.hash,
            params=specification.params_hash,
            name=str(self.name),
            vector_sha256=hashlib.sha256(b"".join(chunks)).digest(),
            release_sha256=hashlib.sha256(self._release).digest(),
            data_version="v1",
        )
        job_id = terms.job_id.hex()
        self._seals[job_id, opened.round, opened.attempt] = statement
        await line.node.seal(job_id, self.signer.sign(SEAL_TYP, encode(statement)), chunks)

    async def _open(self, line: Connection, complete: Completion) -> None:
        seal = self._seals.get((complete.job_id, complete.round, complete.attempt))
        if seal is None:
            return
        statement = ReleaseStatement(
            job=seal.job,
            round=seal.round,
            attempt=seal.attempt,
            roster=seal.roster,
            params=seal.params,
            name=seal.name,
            release=self._release,
        )
        await line.node.release(complete.job_id, self.signer.sign(RELEASE_TYP, encode(statement)))
        self._seals.pop((complete.job_id, complete.round, complete.attempt), None)


class Analyst(Party):
    """Asks, waits for the sum, fetches it, and opens nothing.

    Attributes:
        lost: How often the line was lost.
    """

    def __init__(self, realm: Realm, organisation: str, broker: Reached) -> None:
        super().__init__(realm, realm.credentials(organisation, "analyst", "one"), broker)
        self.lost = 0

    async def publish(self) -> str:
        """Publish the dataset that every node joins; return its hash."""
        column = Column(name="age", type="integer", minimum=0, maximum=120)
        document = Dataset(name="load", columns=(column,), rows_max=1000).to_payload()
        return await (await self.reached()).catalogue.publish_dataset(self.signer.sign(DATASET_TYP, document))

    async def round(self, nodes: list[Node], members: int) -> float:
        """One question to some of the nodes; return the seconds from asking to having the sum."""
        names = sorted((str(node.name) for node in random.sample(nodes, members)), key=str.encode)
        specification: Any = JobSpec(
            analyst=str(self.name),
            suite=SUITE,
            computation="query",
            question="SELECT COUNT(*) FROM load",
            dataset=self.dataset,
            members=tuple(names),
            at_least=members,
            seal="pad",
            words=WORDS,
            word_bits=64,
            result_key=None,
            receiver_key=self.realm.wrap_key,
            tag_seeds=dict.fromkeys(names, b"wrapped"),
            rounds=1,
            deadline=int(time.time()) + _DEADLINE_S,
            nonce=secrets.token_bytes(32),
        )
        began = time.perf_counter()
        token = self.signer.sign(JOB_TYP, msgspec.json.encode(specification))
        while True:
            try:
                await self._answered(token)
            except KapokError as error:
                await self.hang_up()
                if not error.retryable:
                    raise
                self.lost += 1
                await asyncio.sleep(random.uniform(0.2, 1.0))
                continue
            return time.perf_counter() - began

    async def _answered(self, token: str) -> None:
        """Submit, wait for the sum, fetch it. The same again after a lost line: the broker knows the job."""
        line = await self.reached()
        job_id = await line.analyst.submit(token)
        async with aclosing(line.analyst.watch(job_id)) as statuses:
            async for status in statuses:
                if status.state in (JobState.SUMMED, JobState.FINISHED):
                    break
                if status.state in (JobState.FAILED, JobState.CANCELLED):
                    raise AssertionError(f"the job ended as {status.state}: {status.error}")
        if status.state is JobState.SUMMED:
            async with aclosing(line.analyst.fetch(job_id)) as parts:
                async for _ in parts:
                    pass
            await line.analyst.acknowledge(job_id)
