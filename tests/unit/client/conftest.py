"""A trust domain with real certificates, a small dataset, nodes that joined it, a broker that misbehaves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import kapok.wire  # noqa: F401 - first: it silences gRPC's core, which reads its settings once

# isort: split
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kapok.broker.greeter import Greeter
from kapok.client.catalogue import VerifiedDataset, verified
from kapok.client.opening import read_specification
from kapok.client.session import AsyncSession, connect_async
from kapok.documents.dataset import DATASET_TYP, Column, Dataset
from kapok.documents.envelope import JwsSigner, JwsVerifier, document_id, encode
from kapok.documents.statements import MEMBERSHIP_TYP, Membership
from kapok.errors import InternalError, KapokError, NotFound
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import encode_key, make_private_folder, write_new_file
from kapok.identity.names import PartyName, Role
from kapok.identity.revocation import Revocations
from kapok.protocols.secure_sum.aggregator import fold
from kapok.protocols.secure_sum.analyst import tag_seed_info
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.holder import Holder, release
from kapok.protocols.secure_sum.params import RosterRules
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey
from kapok.wire.handlers import BrokerHandlers
from kapok.wire.messages import CatalogueEntry, Greeted, JobState, JobStatus
from kapok.wire.server import serve

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")


class Domain:
    """A root, whom it names, and what they sign."""

    def __init__(self, trust_domain: str = "test.example") -> None:
        self.trust_domain = trust_domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = TrustRoot(new_root(self.key, trust_domain, time.time() - 1000))
        self.verifier = JwsVerifier(self.root.pem)
        self.tag_keys = {name: WrapKey.generate() for name in HOSPITALS}
        self._known: dict[PartyName, Credentials] = {}

    def name(self, role: Role, organisation: str) -> PartyName:
        return PartyName(self.trust_domain, organisation, role, "main")

    def credentials(self, role: Role, organisation: str, days: int = 30) -> Credentials:
        name = self.name(role, organisation)
        if name not in self._known:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = issue(
                self.key, self.root.certificate, key.public_key(), name, now=time.time() - 100, days=days
            )
            self._known[name] = Credentials(key, certificate, self.root, time.time())
        return self._known[name]

    def signer(self, role: Role, organisation: str) -> JwsSigner:
        return JwsSigner(self.credentials(role, organisation))

    def furnish(
        self, home: Path, role: Role, organisation: str, address: str, *, patience_s: int = 2
    ) -> Path:
        """An enrolled party's folder, with an analyst's settings."""
        credentials = self.credentials(role, organisation)
        make_private_folder(home)
        make_private_folder(home / "identity")
        write_new_file(home / "identity" / "key.pem", encode_key(credentials.private_key(), None))
        write_new_file(home / "identity" / "certificate.pem", credentials.certificate_pem, mode=0o644)
        write_new_file(home / "identity" / "root.pem", credentials.root_pem, mode=0o644)
        settings = f'broker = "{address}"\nseal = "pad"\npatience_s = {patience_s}\n'
        (home / "analyst.toml").write_text(settings)
        return home

    def membership(self, organisation: str, dataset_hash: str, tag_key: bytes | None = None) -> str:
        statement = Membership(dataset=dataset_hash, tag_key=tag_key or self.tag_keys[organisation].public)
        return self.signer(Role.NODE, organisation).sign(MEMBERSHIP_TYP, encode(statement))

    def entry(self, dataset: Dataset, members: Sequence[str] = HOSPITALS) -> CatalogueEntry:
        payload = dataset.to_payload()
        return CatalogueEntry(
            document=self.signer(Role.ANALYST, "university").sign(DATASET_TYP, payload),
            memberships=tuple(self.membership(name, document_id(payload)) for name in members),
            connected=tuple(str(self.name(Role.NODE, name)) for name in members[:-1]),
        )

    def hand_out(self, specification: str) -> list[Evidence | bytes]:
        """What an honest broker hands out after these hospitals' real holders have answered, 10 rows each."""
        job_id, spec, analyst = read_specification(specification, self.verifier)
        terms = spec.terms(job_id, analyst)
        names = [PartyName.parse(name) for name in spec.members]
        params = spec.params_hash
        holders = {
            name: Holder(
                terms,
                name=str(name),
                signer=self.signer(Role.NODE, name.organisation),
                verifier=self.verifier,
                rules=RosterRules(min_parties=3),
                cohort=CohortStatement.of("fixed", []),
            )
            for name in names
        }
        consents = tuple(holder.consent() for holder in holders.values())
        words = WordVector.from_integers([10] + [0] * (spec.words - 1), spec.word_bits)
        sealed = {}
        for name, holder in holders.items():
            attempt = holder.open(round=1, attempt=1, consents=consents, params_hash=params)
            info = tag_seed_info(bytes.fromhex(spec.dataset), spec.nonce, str(name))
            seed = self.tag_keys[name.organisation].unwrap(spec.tag_seeds[str(name)], info)
            sealed[name] = holder.seal(attempt, words, tag_seed=seed, data_version="v1")
        seals = tuple(one.token for one in sealed.values())
        releases = tuple(
            release(
                one.record, seals, signer=self.signer(Role.NODE, name.organisation), verifier=self.verifier
            )
            for name, one in sealed.items()
        )
        chunks = zip(*(one.chunks for one in sealed.values()), strict=True)
        evidence = Evidence(round=1, attempt=1, consents=consents, seals=seals, releases=releases)
        return [evidence, *(fold(terms, column) for column in chunks)]


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain()


@pytest.fixture(scope="session")
def foreign_domain() -> Domain:
    """Another root under the same trust domain."""
    return Domain()


@pytest.fixture(scope="session")
def heart() -> Dataset:
    return Dataset(
        name="heart",
        columns=(
            Column(name="age", type="integer", minimum=0, maximum=120),
            Column(name="sex", type="integer", domain=(0, 1)),
        ),
        rows_max=1000,
    )


@pytest.fixture(scope="session")
def catalogued(domain: Domain, heart: Dataset) -> VerifiedDataset:
    return verified(domain.entry(heart), domain.verifier)


@pytest.fixture(autouse=True)
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least work that a vault accepts: how much it is, is not what these tests are about."""
    monkeypatch.setattr("kapok.client.vault._LOG2_N", 14)


@pytest.fixture
def profile_home(tmp_path: Path) -> Path:
    (tmp_path / "analyst.toml").write_text('broker = "127.0.0.1:1"\nkey_bits = 2048\npatience_s = 0\n')
    return tmp_path


@dataclass
class Broker:
    """All handlers at once, and what they are to do wrong."""

    entry: CatalogueEntry
    submitted: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    submit_errors: list[KapokError] = field(default_factory=list)
    watch_errors: list[KapokError] = field(default_factory=list)
    states: list[JobState] = field(default_factory=lambda: [JobState.GATHERING, JobState.SUMMED])
    error: KapokError | None = None
    refusals: tuple[str, ...] = ()
    foreign: str | None = None
    parts: list[Evidence | bytes] = field(default_factory=list)
    entries: list[CatalogueEntry] = field(default_factory=list)
    listed: list[JobStatus] = field(default_factory=list)
    endless: bytes = b""
    opinions: Callable[[str], Iterable[str]] = lambda _inquiry: ()
    inquiries: list[str] = field(default_factory=list)
    address: str = ""
    greeter: Greeter = field(init=False)

    async def publish_dataset(self, caller: PartyName, document: str) -> str:
        raise InternalError("not here")

    async def greet(self, caller: PartyName, nonce: bytes) -> Greeted:
        return self.greeter.greet(caller, nonce)

    async def datasets(self, name: str | None) -> AsyncIterator[CatalogueEntry]:
        for entry in self.entries or [self.entry]:
            if name in (None, "heart"):
                yield entry

    async def dataset(self, dataset_hash: str) -> CatalogueEntry:
        return self.entry

    async def submit(self, caller: PartyName, specification: str) -> str:
        self.submitted.append(specification)
        if self.submit_errors:
            raise self.submit_errors.pop(0)
        return "00" * 32

    def status(self, job_id: str, state: JobState) -> JobStatus:
        ended = state in (JobState.FAILED, JobState.CANCELLED)
        return JobStatus(
            job_id=job_id,
            state=state,
            specification=self.foreign or self.submitted[-1],
            waiting_for=(),
            roster=(),
            refusals=self.refusals,
            error=self.error if ended else None,
            submitted_at=1.0,
            changed_at=1.0,
            attempt=1,
            bytes_received=7,
        )

    async def jobs(self, caller: PartyName) -> AsyncIterator[JobStatus]:
        for status in self.listed:
            yield status

    async def job(self, caller: PartyName, job_id: str) -> JobStatus:
        if not self.submitted:
            raise NotFound("no such job", code="unknown_job")
        return self.status(job_id, self.states[-1])

    async def watch(self, caller: PartyName, job_id: str) -> AsyncIterator[JobStatus]:
        if self.watch_errors:
            raise self.watch_errors.pop(0)
        for state in self.states:
            yield self.status(job_id, state)

    async def cancel(self, caller: PartyName, job_id: str) -> None:
        self.states = [JobState.CANCELLED]

    async def fetch(self, caller: PartyName, job_id: str) -> AsyncIterator[Evidence | bytes]:
        for part in self.parts:
            yield part
        while self.endless:
            yield self.endless

    async def acknowledge(self, caller: PartyName, job_id: str) -> None:
        self.acknowledged.append(job_id)

    async def explain(self, caller: PartyName, inquiry: str) -> AsyncIterator[str]:
        self.inquiries.append(inquiry)
        for opinion in self.opinions(inquiry):
            yield opinion


@pytest.fixture
async def broker(domain, heart) -> AsyncIterator[Broker]:
    """A broker on loopback under the domain's root; `address` says where."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = domain.name(Role.BROKER, "exchange")
    certificate = issue(
        domain.key,
        domain.root.certificate,
        key.public_key(),
        name,
        now=time.time(),
        days=1,
        hosts=["127.0.0.1"],
    )
    handlers = Broker(domain.entry(heart))
    credentials = Credentials(key, certificate, domain.root, time.time())
    handlers.greeter = Greeter(lambda: credentials, Revocations(domain.root))
    server = await serve(credentials, "127.0.0.1:0", BrokerHandlers(handlers, handlers, handlers, handlers))
    handlers.address = server.address
    yield handlers
    await server.stop(0)


@pytest.fixture
async def session(domain, broker, tmp_path) -> AsyncIterator[AsyncSession]:
    home = domain.furnish(tmp_path / "home", Role.ANALYST, "university", broker.address)
    async with await connect_async(home) as session:
        yield session
