"""Hospitals in one process: real certificates, real journals, real DuckDB files, messages carried by hand."""

import csv
import hashlib
import secrets
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from kapok.computations.registry import computation
from kapok.documents.dataset import Column, Dataset
from kapok.documents.envelope import JwsSigner, JwsVerifier, decode, document_id
from kapok.documents.statements import JOB_TYP, REFUSAL_TYP, JobSpec, RefusalStatement, ResultKey
from kapok.identity.certificates import TrustRoot
from kapok.identity.credentials import Credentials
from kapok.identity.issuing import issue, new_root
from kapok.identity.keyfiles import generate_key
from kapok.identity.names import PartyName, Role
from kapok.nodes.apps.host import AppHost
from kapok.nodes.journal import Inbox, Journal
from kapok.nodes.policy import Policy, Rule
from kapok.nodes.runner import Consent, Context, InForce, JoinedDataset, Refusal, Release, Runner, Seal
from kapok.nodes.runner.notes import Observer
from kapok.nodes.settings import CsvSource, EngineLimits, SourceSettings
from kapok.nodes.sources import Table
from kapok.nodes.sources.version import VersionKey
from kapok.protocols.secure_sum import aggregator, analyst
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.params import SumTerms
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.secure_sum.round_parameters import JobKey, Parameters, seal_parameters
from kapok.protocols.secure_sum.tag import tag_seed_info
from kapok.protocols.wraps import WrapKey, wrap
from kapok.wire.messages import Completion, Offer, OpenAttempt, RoundParameters

NOW = 1_800_000_000.0
TRUST_DOMAIN = "kapok.test"
ROWS = {
    "a": [(30 + index, index % 2, "yes" if index % 3 else "no") for index in range(40)],
    "b": [(40 + index, 1, "no") for index in range(30)],
    "c": [(50, index % 2, "yes") for index in range(20)],
    "d": [(60 + index % 5, 0, "no") for index in range(24)],
}


class Realm:
    """A trust domain: hands out credentials under one root."""

    def __init__(self, now: float = NOW) -> None:
        self._now = now
        self._key = generate_key()
        self._root = new_root(self._key, TRUST_DOMAIN, now)
        self.root = TrustRoot(self._root)
        self._known: dict[str, Credentials] = {}

    def credentials(self, organisation: str, role: Role, name: str, hosts: Sequence[str] = ()) -> Credentials:
        party = PartyName(TRUST_DOMAIN, organisation, role, name)
        if str(party) not in self._known:
            key = generate_key()
            certificate = issue(self._key, self._root, key.public_key(), party, now=self._now, hosts=hosts)
            self._known[str(party)] = Credentials(key, certificate, self.root, self._now)
        return self._known[str(party)]


def rule(**changes) -> Rule:
    given = {
        "analysts": (f"spiffe://{TRUST_DOMAIN}/org/university/analyst/*",),
        "dataset": "clinic",
        "operations": ("count", "sum", "avg"),
        "columns": ("*",),
        "questions": 100,
        "min_rows": 5,
        "min_cell": 3,
        "seals": ("paillier", "pad"),
        "approval": "automatic",
    }
    return Rule(**(given | changes))


DATASET = Dataset(
    name="clinic",
    columns=(
        Column(name="age", type="integer", minimum=0, maximum=120),
        Column(name="sex", type="integer", domain=(0, 1), nullable=True),
        Column(name="smoker", type="text", domain=("no", "yes")),
    ),
    rows_max=1000,
)
DATASET_HASH = hashlib.sha256(DATASET.to_payload()).hexdigest()


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Node:
    """A node's folder; `start` is what a restart of the daemon does."""

    home: Path
    credentials: Credentials
    realm: Realm
    clock: Clock
    policy: Policy = field(default_factory=lambda: Policy((rule(),)))
    joins: bool = True
    asset: str = "clinic"
    accept: int | None = None
    source: SourceSettings | None = None
    observer: Observer | None = None

    def __post_init__(self) -> None:
        self.tag_key = WrapKey.generate()
        self.version_key = secrets.token_bytes(32)
        self._journal: Journal | None = None
        self._runner: Runner | None = None

    @property
    def name(self) -> str:
        return str(self.credentials.name)

    @property
    def runner(self) -> Runner:
        """The running daemon's; the first use starts it."""
        return self._runner or self.start()

    @property
    def journal(self) -> Journal:
        assert self.runner
        return self._journal

    @property
    def csv(self) -> Path:
        return self.home / "patients.csv"

    def write_rows(self, rows) -> None:
        with self.csv.open("w", newline="") as file:
            csv.writer(file).writerows([("age", "sex", "smoker"), *rows])

    def start(self) -> Runner:
        self.stop()
        self._open_journal()
        return self.judge_by(self.policy)

    def _open_journal(self) -> Journal:
        self._journal = Journal.open(
            self.home / "journal.db",
            self.home / "instance",
            clock=self.clock,
            accept=self.accept,
            on_accept=self._new_tag_key,
        )
        return self._journal

    def judge_by(self, policy: Policy) -> Runner:
        """Another policy over the same journal, without the rest of a restart."""
        self.policy = policy
        table = Table(
            DATASET, self.source or CsvSource(self.csv), EngineLimits(threads=1), VersionKey(self.version_key)
        )
        joined = JoinedDataset("clinic", DATASET_HASH, self.asset, table)
        journal = self._journal or self._open_journal()
        context = Context(
            name=self.name,
            in_force=self.put_in_force(policy),
            journal=journal,
            joined={DATASET_HASH: joined} if self.joins else {},
            signer=JwsSigner(self.credentials),
            verifier=JwsVerifier(self.realm.root.pem, self.clock),
            tag_key=self.tag_key,
            apps=AppHost(self.home / "apps"),
            clock=self.clock,
            open_jobs_max=8,
            observer=self.observer,
        )
        self._runner = Runner(context)
        return self._runner

    def put_in_force(self, policy: Policy) -> InForce:
        """What a start or a reload notes in the journal."""
        return InForce(policy, self._journal.put_in_force(msgspec.json.encode(policy).decode(), "settings"))

    def stop(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = self._runner = None

    def inbox(self) -> Inbox:
        return Inbox(self.home / "journal.db", self.home / "instance", self.clock, "alice")

    def _new_tag_key(self) -> None:
        self.tag_key = WrapKey.generate()


@dataclass
class World:
    """Nodes, an analyst, and who carries messages between them."""

    realm: Realm
    folder: Path
    clock: Clock
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def verifier(self) -> JwsVerifier:
        return JwsVerifier(self.realm.root.pem, self.clock)

    def add(self, name: str, rows=None, **changes) -> Node:
        home = self.folder / name
        home.mkdir()
        node = Node(home, self.realm.credentials(name, Role.NODE, "main"), self.realm, self.clock, **changes)
        if rows is not None:
            node.write_rows(rows)
        self.nodes[name] = node
        return node

    def job(self, sql: str, **changes) -> "Job":
        return Job(self, sql, **changes)

    def refusal(self, outgoing) -> RefusalStatement:
        """The refusal that a node answered, verified."""
        return self.refusal_at(outgoing, self.clock())

    def refusal_at(self, outgoing, now: float) -> RefusalStatement:
        """The refusal, verified by a clock of one's own."""
        [answer] = outgoing
        assert isinstance(answer, Refusal), answer
        verifier = JwsVerifier(self.realm.root.pem, lambda: now)
        return decode(RefusalStatement, verifier.verify(REFUSAL_TYP, answer.token).payload)


class Job:
    """One job, made by the analyst and carried by an honest broker, one step a method."""

    def __init__(
        self,
        world: World,
        sql: str,
        *,
        names=None,
        seal="pad",
        key=None,
        by="one",
        organisation="university",
        role=Role.ANALYST,
        at_least=None,
        deadline=None,
        kind="query",
        **changes,
    ):
        self.world = world
        self.nodes = [world.nodes[name] for name in (names or sorted(world.nodes))]
        self.kind = computation(kind)
        self.key, self.receiver = key, WrapKey.generate()
        self.tag_seed, self.later_seed, nonce = (secrets.token_bytes(32) for _ in range(3))
        try:
            self.question = self.kind.parse(sql, DATASET)
            text, words, rounds = self.question.text, self.question.words, self.question.rounds
        except Exception:
            self.question, text, words, rounds = None, sql, 3, 1
        at_least = at_least or len({node.credentials.name.organisation for node in self.nodes})
        self.caller = world.realm.credentials(organisation, role, by)
        given = {
            "analyst": str(self.caller.name),
            "suite": "kapok-sum-1",
            "computation": kind,
            "question": text,
            "dataset": DATASET_HASH,
            "members": tuple(sorted((node.name for node in self.nodes), key=str.encode)),
            "at_least": at_least,
            "seal": seal,
            "words": words,
            "word_bits": self.question.word_bits if self.question else 64,
            "result_key": ResultKey(*key.public.encode()) if key else None,
            "receiver_key": self.receiver.public,
            "tag_seeds": self._wrapped_seeds(nonce),
            "rounds": rounds,
            "deadline": int(deadline or world.clock() + 60),
            "nonce": nonce,
        }
        self.spec = JobSpec(**(given | changes))
        payload = msgspec.json.encode(self.spec)
        self.id = document_id(payload)
        self.token = JwsSigner(self.caller).sign(JOB_TYP, payload)

    def _wrapped_seeds(self, nonce: bytes) -> dict[str, bytes]:
        return {
            node.name: wrap(
                node.tag_key.public,
                self.tag_seed,
                tag_seed_info(bytes.fromhex(DATASET_HASH), nonce, node.name),
            )
            for node in self.nodes
        }

    @property
    def terms(self) -> SumTerms:
        return self.spec.terms(self.id, self.caller.name)

    @property
    def params_hash(self) -> bytes:
        return self.spec.params_hash

    def offer(self, node: Node):
        return node.runner.handle(Offer(self.token))

    def consent(self, nodes=None) -> list[str]:
        answers = [self.offer(node) for node in nodes or self.nodes]
        assert all(isinstance(one, Consent) for [one] in answers), answers
        return [one.token for [one] in answers]

    def parameters(self, consents, plaintext, number=2, **changes) -> RoundParameters:
        """A later round's parameters, sealed for the roster of these consents, changed as a test wants it."""
        given = {
            "terms": self.terms,
            "key": JobKey(read_roster(self.terms, consents, self.world.verifier)),
            "round": number,
            "parameters": Parameters(plaintext, self.later_seed),
            "name": str(self.caller.name),
            "signer": JwsSigner(self.caller),
        } | changes
        sealed = seal_parameters(given.pop("terms"), given.pop("key"), **given)
        return RoundParameters(sealed.token, sealed.ciphertext)

    def open(self, node: Node, consents, attempt=1, number=1, parameters=None):
        return node.runner.handle(
            OpenAttempt(
                specification=self.token,
                round=number,
                attempt=attempt,
                consents=tuple(consents),
                parameters=parameters,
            )
        )

    def seal(self, consents, nodes=None, attempt=1, number=1, parameters=None) -> list[Seal]:
        answers = [self.open(node, consents, attempt, number, parameters) for node in nodes or self.nodes]
        assert all(isinstance(one, Seal) for [one] in answers), answers
        return [one for [one] in answers]

    def complete(self, node: Node, seals, attempt=1, number=1):
        tokens = tuple(one.token for one in seals)
        return node.runner.handle(Completion(job_id=self.id, round=number, attempt=attempt, seals=tokens))

    def release(self, seals, nodes=None, attempt=1, number=1) -> list[str]:
        answers = [self.complete(node, seals, attempt, number) for node in nodes or self.nodes]
        assert all(isinstance(one, Release) for [one] in answers), answers
        return [one.token for [one] in answers]

    def fold(self, seals) -> list[bytes]:
        columns = zip(*(one.chunks for one in seals), strict=True)
        return [aggregator.fold(self.terms, list(column)) for column in columns]

    def unseal(self, consents, seals, releases, attempt=1, number=1, plaintext=b""):
        later, steered = Parameters(plaintext, self.later_seed), self.spec.has_parameters(number)
        asked = analyst.Asked(
            params_hash=later.hash if steered else self.params_hash,
            tag_seed=later.tag_seed if steered else self.tag_seed,
            receiver_key=self.receiver,
            result_key=self.key,
        )
        tokens = [one.token for one in seals]
        evidence = Evidence(round=number, attempt=attempt, consents=consents, seals=tokens, releases=releases)
        return analyst.open_sum(self.terms, asked, evidence, self.fold(seals), self.world.verifier)

    def answer(self, opened):
        return self.kind.answer(self.question, DATASET, opened.words)

    def run(self, nodes=None, attempt=1):
        """The whole job, everybody honest: what the analyst opens."""
        consents = self.consent(nodes)
        seals = self.seal(consents, nodes, attempt)
        return self.unseal(consents, seals, self.release(seals, nodes, attempt), attempt)


@pytest.fixture(scope="session")
def realm() -> Realm:
    return Realm()


@pytest.fixture(scope="session")
def make_world(realm):
    @contextmanager
    def made(folder):
        world = World(realm, folder, Clock())
        try:
            yield world
        finally:
            for node in world.nodes.values():
                node.stop()

    return made


@pytest.fixture
def empty_world(make_world, tmp_path):
    with make_world(tmp_path) as world:
        yield world


@pytest.fixture
def world(empty_world):
    """Four hospitals with different rows."""
    for name, rows in ROWS.items():
        empty_world.add(name, rows)
    return empty_world


@pytest.fixture(scope="session")
def make_rule():
    return rule


@pytest.fixture
def dataset():
    return DATASET


@pytest.fixture
def dataset_hash():
    return DATASET_HASH


@pytest.fixture
def make_job():
    return Job


@pytest.fixture
def make_realm():
    return Realm
