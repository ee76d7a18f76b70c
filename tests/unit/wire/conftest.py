"""A trust domain with real certificates, handlers that remember their calls, a broker on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import kapok.wire  # noqa: F401 - first: it silences gRPC's core, which reads its settings once

# isort: split
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.broker.greeter import Greeter
from kapok.errors import InvalidInput, NotFound
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.names import PartyName, Role
from kapok.identity.revocation import Revocations
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.channel import Connection, connect
from kapok.wire.handlers import BrokerHandlers
from kapok.wire.messages import (
    Assignment,
    CatalogueEntry,
    Closed,
    CohortEvidence,
    Completion,
    Greeted,
    Idle,
    Inquiry,
    JobState,
    JobStatus,
    KeptReopening,
    Offer,
    OpenAttempt,
    ReopenCohort,
    RevocationNotice,
    RoundParameters,
)
from kapok.wire.server import RunningServer, serve

DAY = 86400.0


class Realm:
    """A root and whom it names."""

    def __init__(self, trust_domain: str = "test.example") -> None:
        self.trust_domain = trust_domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = new_root(self.key, trust_domain, time.time() - 30 * DAY)
        self.root_pem = self.root.public_bytes(serialization.Encoding.PEM)

    def name(self, role: Role, name: str, domain: str | None = None) -> PartyName:
        return PartyName(domain or self.trust_domain, f"org-{name}", role, name)

    def leaf(
        self, name: PartyName, *, age_s: float = 0.0, hosts: Sequence[str] = ()
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """A key and a certificate that lasts 10 days and was made `age_s` seconds ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = time.time() - age_s
        return key, issue(self.key, self.root, key.public_key(), name, now=made, days=10, hosts=hosts)

    def credentials(
        self, role: Role, name: str, *, age_s: float = 0.0, hosts: Sequence[str] = ()
    ) -> Credentials:
        key, certificate = self.leaf(self.name(role, name), age_s=age_s, hosts=hosts)
        return Credentials(key, certificate, TrustRoot.from_pem(self.root_pem), time.time() - age_s)

    def shown(
        self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> grpc.ChannelCredentials:
        """For a channel that Kapok's own client would not open."""
        return grpc.ssl_channel_credentials(self.root_pem, key_pem(key), certificate_pem(certificate))


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass
class Record:
    """What a handler was asked, and what it is to raise instead of answering."""

    calls: list[tuple[object, ...]] = field(default_factory=list)
    raises: Exception | None = None
    delay_s: float = 0.0

    async def note(self, *call: object) -> None:
        self.calls.append(call)
        await asyncio.sleep(self.delay_s)
        if self.raises is not None:
            raise self.raises


class Shelf(Record):
    """A catalogue in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, CatalogueEntry] = {}
        self.greeter: Greeter

    async def publish_dataset(self, caller: PartyName, document: str) -> str:
        await self.note("publish", caller, document)
        dataset_hash = f"{len(self.entries):064x}"
        self.entries[dataset_hash] = CatalogueEntry(document, ("m1", "m2"), (str(caller),))
        return dataset_hash

    async def greet(self, caller: PartyName, nonce: bytes) -> Greeted:
        await self.note("greet", caller, nonce)
        return self.greeter.greet(caller, nonce)

    async def publish_revocations(self, caller: PartyName, der: bytes) -> None:
        await self.note("revocations", caller, der)

    async def datasets(self, name: str | None) -> AsyncIterator[CatalogueEntry]:
        await self.note("datasets", name)
        for entry in self.entries.values():
            if name is None or entry.document == name:
                yield entry

    async def dataset(self, dataset_hash: str) -> CatalogueEntry:
        await self.note("dataset", dataset_hash)
        if dataset_hash not in self.entries:
            raise NotFound("no such dataset", code="unknown_dataset")
        return self.entries[dataset_hash]


class Jobs(Record):
    """One job in each state, and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses = [status_in(state) for state in JobState]
        self.sum: list[Evidence | bytes] = [
            Evidence(round=1, attempt=3, consents=("c1", "c2"), seals=("s1",), releases=("r1",)),
            b"\x00" * 10,
            b"\xff" * 256 * 1024,
        ]
        self.changes: asyncio.Queue[JobStatus | None] = asyncio.Queue()
        self.watch_closed = asyncio.Event()

    async def submit(self, caller: PartyName, specification: str) -> str:
        await self.note("submit", caller, specification)
        return "ab" * 32

    async def jobs(self, caller: PartyName) -> AsyncIterator[JobStatus]:
        await self.note("jobs", caller)
        for status in self.statuses:
            yield status

    async def job(self, caller: PartyName, job_id: str) -> JobStatus:
        await self.note("job", caller, job_id)
        return self.statuses[0]

    async def watch(self, caller: PartyName, job_id: str) -> AsyncIterator[JobStatus]:
        await self.note("watch", caller, job_id)
        try:
            while (status := await self.changes.get()) is not None:
                yield status
        finally:
            self.watch_closed.set()

    async def cancel(self, caller: PartyName, job_id: str) -> None:
        await self.note("cancel", caller, job_id)

    async def fetch(self, caller: PartyName, job_id: str) -> AsyncIterator[Evidence | bytes]:
        await self.note("fetch", caller, job_id)
        for part in self.sum:
            yield part

    async def steer(self, caller: PartyName, job_id: str, statement: str, chunks) -> None:
        await self.note("steer", caller, job_id, statement, [chunk async for chunk in chunks])

    async def acknowledge(self, caller: PartyName, job_id: str) -> None:
        await self.note("acknowledge", caller, job_id)

    async def explain(self, caller: PartyName, inquiry: str) -> AsyncIterator[str]:
        await self.note("explain", caller, inquiry)
        for opinion in ("yes", "no"):
            yield opinion


class Assignments(Record):
    """One assignment of each kind, then silence."""

    def __init__(self) -> None:
        super().__init__()
        self.todo: list[Assignment] = [
            Idle(),
            Offer("spec"),
            OpenAttempt(specification="spec", round=1, attempt=2, consents=("c1", "c2")),
            OpenAttempt(
                specification="spec",
                round=2,
                attempt=1,
                consents=("c1", "c2"),
                parameters=RoundParameters("statement"),
            ),
            Completion(job_id="ab" * 32, round=1, attempt=2, seals=("s1", "s2")),
            Closed("ab" * 32),
            Inquiry("question"),
            ReopenCohort(b"{}"),
            RevocationNotice(b"list"),
        ]
        self.sealed: list[bytes] = []
        self.reads_chunks = True
        self.watch_closed = asyncio.Event()

    async def join(self, caller: PartyName, membership: str) -> None:
        await self.note("join", caller, membership)

    async def watch(self, caller: PartyName) -> AsyncIterator[Assignment]:
        await self.note("watch", caller)
        try:
            for assignment in self.todo:
                yield assignment
            await asyncio.Event().wait()
        finally:
            self.watch_closed.set()

    async def consent(self, caller: PartyName, job_id: str, token: str) -> None:
        await self.note("consent", caller, job_id, token)

    async def refuse(self, caller: PartyName, job_id: str, token: str) -> None:
        await self.note("refuse", caller, job_id, token)

    async def seal(self, caller: PartyName, job_id: str, token: str, chunks: AsyncIterator[bytes]) -> None:
        await self.note("seal", caller, job_id, token)
        if not self.reads_chunks:
            return
        taken = [chunk async for chunk in chunks]
        if not taken:
            raise InvalidInput("nothing was sent", code="empty_vector")
        self.sealed += taken

    async def parameters(
        self, caller: PartyName, job_id: str, number: int, attempt: int
    ) -> AsyncIterator[bytes]:
        await self.note("parameters", caller, job_id, number, attempt)
        for chunk in (b"sea", b"led"):
            yield chunk

    async def release(self, caller: PartyName, job_id: str, token: str) -> None:
        await self.note("release", caller, job_id, token)

    async def give_opinion(self, caller: PartyName, inquiry_id: str, token: str) -> None:
        await self.note("give_opinion", caller, inquiry_id, token)

    async def answer_reopening(self, caller: PartyName, reopening_id: str, token: str) -> None:
        await self.note("answer_reopening", caller, reopening_id, token)


class Cohorts(Record):
    """Two reopenings and a cohort."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = [KeptReopening(b"{}", ("yes", "no"), 12.5), KeptReopening(b"[]", (), 11.0)]
        self.evidence = [
            CohortEvidence(specification="spec", round=1, attempt=2, consents=("c1", "c2"), releases=("r1",))
        ]

    async def sign_reopening(self, caller: PartyName, document: bytes) -> str:
        await self.note("sign", caller, document)
        return "cd" * 32

    async def reopenings(self, caller: PartyName, dataset_hash: str | None) -> list[KeptReopening]:
        await self.note("reopenings", caller, dataset_hash)
        return self.kept

    async def cohorts(self, caller: PartyName, dataset_hash: str) -> AsyncIterator[CohortEvidence]:
        await self.note("cohorts", caller, dataset_hash)
        for evidence in self.evidence:
            yield evidence


def status_in(state: JobState) -> JobStatus:
    error = (
        NotFound("it is gone", code="unknown_job", remedy="ask anew", party="org")
        if state is JobState.FAILED
        else None
    )
    return JobStatus(
        job_id="ab" * 32,
        state=state,
        specification="spec",
        waiting_for=("n1",),
        roster=("n1", "n2"),
        refusals=("no",),
        error=error,
        submitted_at=1234.5,
        changed_at=1235.25,
        attempt=2,
        bytes_received=2**40,
    )


@dataclass
class Broker:
    """A running server and the handlers behind it."""

    server: RunningServer
    catalogue: Shelf
    analysts: Jobs
    nodes: Assignments
    officers: Cohorts

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def handlers(self) -> BrokerHandlers:
        return BrokerHandlers(self.catalogue, self.analysts, self.nodes, self.officers)


@pytest.fixture(scope="session")
def realm() -> Realm:
    return Realm()


@pytest.fixture(scope="session")
def foreign_realm() -> Realm:
    """Another root for the same trust domain: who answers for it is not whom we enrolled with."""
    return Realm()


@pytest.fixture(scope="session")
def broker_credentials(realm: Realm) -> Credentials:
    return realm.credentials(Role.BROKER, "exchange")


@pytest.fixture(scope="session")
def analyst_credentials(realm: Realm) -> Credentials:
    return realm.credentials(Role.ANALYST, "ada")


@pytest.fixture(scope="session")
def node_credentials(realm: Realm) -> Credentials:
    return realm.credentials(Role.NODE, "ward")


@pytest.fixture(scope="session")
def officer_credentials(realm: Realm) -> Credentials:
    return realm.credentials(Role.OFFICER, "chief")


@pytest.fixture
async def broker(broker_credentials: Credentials) -> AsyncIterator[Broker]:
    catalogue, analysts, nodes, officers = Shelf(), Jobs(), Assignments(), Cohorts()
    catalogue.greeter = Greeter(lambda: broker_credentials, Revocations(broker_credentials.root))
    server = await serve(
        broker_credentials,
        "127.0.0.1:0",
        BrokerHandlers(catalogue, analysts, nodes, officers),
    )
    yield Broker(server, catalogue, analysts, nodes, officers)
    await server.stop(0)


@pytest.fixture
async def analyst(broker: Broker, analyst_credentials: Credentials) -> AsyncIterator[Connection]:
    async with await connect(analyst_credentials, broker.address) as connection:
        yield connection


@pytest.fixture
async def node(broker: Broker, node_credentials: Credentials) -> AsyncIterator[Connection]:
    async with await connect(node_credentials, broker.address) as connection:
        yield connection


@pytest.fixture
async def officer(broker: Broker, officer_credentials: Credentials) -> AsyncIterator[Connection]:
    async with await connect(officer_credentials, broker.address) as connection:
        yield connection
