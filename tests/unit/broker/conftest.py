"""A broker's logic over a real store, and real parties around it: certificates, holders, an analyst.

The store is a SQLite file; a module that is marked with `place` runs over PostgreSQL as well.

`World` is the broker and everybody who talks to it, in one process, step by step, under a clock that stands
still until a test moves it. `World.restart` throws the broker away and opens its file again.
"""

import gc
import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from support.broker import Clock, Domain, DrivenJobs, history, reasons, stored_chunks
from support.postgres import PASSWORD, emptied

from kapok.broker.catalogue import Catalogue
from kapok.broker.computation.context import Context
from kapok.broker.reopenings import Reopenings
from kapok.broker.settings import Limits
from kapok.broker.store import Store
from kapok.documents.dataset import DATASET_TYP, Column, Dataset
from kapok.documents.envelope import JwsSigner, JwsVerifier, decode, document_id
from kapok.documents.statements import (
    JOB_TYP,
    MEMBERSHIP_TYP,
    REFUSAL_TYP,
    JobSpec,
    Membership,
    ResultKey,
)
from kapok.errors import KapokError, LocalProtocolError
from kapok.identity.credentials import Credentials
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum import analyst, cohort
from kapok.protocols.secure_sum.cohort import CohortStatement, PastRelease
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.holder import Holder, ReleaseRecord, SealedContribution, release
from kapok.protocols.secure_sum.params import SUITE, RosterRules, SumTerms
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.secure_sum.round_parameters import (
    JobKey,
    Parameters,
    SealedParameters,
    seal_parameters,
)
from kapok.protocols.words import WordVector
from kapok.protocols.wraps import WrapKey
from kapok.wire.messages import (
    Assignment,
    Closed,
    Completion,
    Idle,
    JobStatus,
    Offer,
    OpenAttempt,
    RoundParameters,
)

WORDS = 3


@dataclass
class Asked:
    """A job as its analyst keeps it."""

    id: str
    token: str
    specification: JobSpec
    terms: SumTerms
    receiver_key: WrapKey


class Analyst:
    """Signs specifications, opens sums."""

    def __init__(self, world: "World", organisation: str, name: str) -> None:
        self.world = world
        self.credentials = world.domain.credentials(organisation, "analyst", name)
        self.name = self.credentials.name
        self.signer = JwsSigner(self.credentials)

    def dataset(self) -> str:
        """A signed dataset document."""
        columns = (Column(name="age", type="integer", minimum=0, maximum=120),)
        return self.signer.sign(
            DATASET_TYP, Dataset(name="heart", columns=columns, rows_max=1000).to_payload()
        )

    def prepare(self, **changes) -> Asked:
        """A specification over all nodes of the world, changed as a test wants it."""
        receiver_key = changes.pop("receiver", None) or WrapKey.generate()
        members = changes.pop("members", tuple(self.world.nodes))
        result_key = changes.pop("result_key", None)
        given = {
            "analyst": str(self.name),
            "suite": SUITE,
            "computation": "query",
            "question": "SELECT COUNT(*) FROM heart",
            "dataset": self.world.dataset_hash,
            "members": members,
            "at_least": len({PartyName.parse(name).organisation_id for name in members}),
            "seal": "paillier" if result_key else "pad",
            "words": WORDS,
            "word_bits": 64,
            "result_key": ResultKey(*result_key) if result_key else None,
            "receiver_key": receiver_key.public,
            "tag_seeds": dict.fromkeys(members, b"wrapped"),
            "rounds": 1,
            "deadline": int(self.world.clock()) + 600,
            "nonce": secrets.token_bytes(32),
        }
        specification = JobSpec(**(given | changes))
        payload = msgspec.json.encode(specification)
        job_id = document_id(payload)
        return Asked(
            job_id,
            self.signer.sign(JOB_TYP, payload),
            specification,
            terms_of(job_id, specification, self.name),
            receiver_key,
        )

    def ask(self, **changes) -> Asked:
        asked = self.prepare(**changes)
        assert self.world.jobs.submit(self.name, asked.token) == asked.id
        return asked

    def status(self, asked: Asked) -> JobStatus:
        return self.world.jobs.job(self.name, asked.id)

    def open(self, asked: Asked, private_key=None) -> list[int]:
        """Fetch the sum and open it with every check that an analyst makes."""
        evidence, count = self.world.jobs.evidence(self.name, asked.id)
        chunks = [self.world.jobs.sum_chunk(self.name, asked.id, number) for number in range(count)]
        return self.read(asked, evidence, chunks, private_key)

    def multiplier(self, number: int) -> Parameters:
        """What the nodes are told in a round: by how much to multiply."""
        seed = self.world.tag_seed
        return Parameters(
            b"%d" % number, hashlib.sha256(seed + bytes([number])).digest() if number > 1 else seed
        )

    def parameters(self, asked: Asked, number: int, **changes) -> RoundParameters:
        """A later round's parameters for the roster that the broker shows, changed as a test wants it."""
        evidence, _ = self.world.jobs.evidence(self.name, asked.id)
        given = {
            "terms": asked.terms,
            "key": JobKey(read_roster(asked.terms, evidence.consents, self.world.verifier)),
            "round": number,
            "parameters": self.multiplier(number),
            "name": str(self.name),
            "signer": self.signer,
        } | changes
        sealed = seal_parameters(given.pop("terms"), given.pop("key"), **given)
        return RoundParameters(sealed.token, sealed.ciphertext)

    def steer(self, asked: Asked, number: int, **changes) -> None:
        """Begin a later round."""
        self.world.jobs.steer(self.name, asked.id, self.parameters(asked, number, **changes))

    def read(self, asked: Asked, evidence: Evidence, chunks: Iterable[bytes], private_key=None) -> list[int]:
        later = self.multiplier(evidence.round)
        steered = asked.specification.has_parameters(evidence.round)
        known = analyst.Asked(
            params_hash=later.hash if steered else asked.specification.params_hash,
            tag_seed=later.tag_seed,
            receiver_key=asked.receiver_key,
            result_key=private_key,
        )
        opened = analyst.open_sum(asked.terms, known, evidence, chunks, self.world.verifier)
        return list(opened.words)


def terms_of(job_id: str, specification: JobSpec, asker: PartyName) -> SumTerms:
    try:
        return specification.terms(job_id, asker)
    except KapokError:
        return None  # type: ignore[return-value]  # a specification that is to be refused


@dataclass
class Node:
    """A node around the real holder role: keys in memory, a journal that outlives `restart`."""

    world: "World"
    credentials: Credentials
    contribution: list[int]
    rule: str = "fixed"
    refuses: dict[str, str] | None = None
    joined: str = ""
    holders: dict[str, Holder] = field(default_factory=dict)
    specifications: dict[str, JobSpec] = field(default_factory=dict)
    records: dict[tuple[str, int, int], ReleaseRecord] = field(default_factory=dict)
    released: list[tuple[str, PastRelease]] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.name = self.credentials.name
        self.signer = JwsSigner(self.credentials)
        self.tag_key = WrapKey.generate()

    def join(self) -> None:
        payload = msgspec.json.encode(Membership(self.world.dataset_hash, self.tag_key.public))
        self.joined = self.signer.sign(MEMBERSHIP_TYP, payload)
        self.world.catalogue.join(self.name, self.joined)

    def restart(self) -> None:
        """Lose what was in memory only."""
        self.holders.clear()

    def owed(self) -> list[Assignment]:
        return list(self.world.jobs.owed(str(self.name)).values())

    def work(self, kinds: type | tuple[type, ...] = object) -> bool:
        """Do what is owed of these kinds; return whether there was anything."""
        owed = [one for one in self.owed() if isinstance(one, kinds) and not isinstance(one, Closed | Idle)]
        for assignment in owed:
            self.handle(assignment)
        return bool(owed)

    def handle(self, assignment: Assignment) -> None:
        match assignment:
            case Offer(specification):
                job_id, spec, asker = self._read(specification)
                if self.refuses is not None:
                    self.refuse(job_id, **self.refuses)
                else:
                    self.consent(job_id, spec, asker)
            case OpenAttempt():
                self.seal(assignment)
            case Completion():
                self.release(assignment)
            case Closed(job_id):
                self.closed.add(job_id)
            case Idle():
                pass

    def _read(self, token: str) -> tuple[str, JobSpec, PartyName]:
        signed = self.world.verifier.verify(JOB_TYP, token)
        return (
            document_id(signed.payload),
            decode(JobSpec, signed.payload),
            PartyName.parse(signed.signer.name),
        )

    def consent(self, job_id: str, spec: JobSpec, asker: PartyName) -> str:
        cohorts = [past.names for scope, past in self.released if scope == asker.organisation_id]
        self.holders[job_id] = Holder(
            terms_of(job_id, spec, asker),
            name=str(self.name),
            signer=self.signer,
            verifier=self.world.verifier,
            rules=RosterRules(min_parties=3),
            cohort=CohortStatement.of(self.rule, cohorts if self.rule == "fixed" else []),
        )
        token = self.holders[job_id].consent()
        self.world.jobs.consent(self.name, job_id, token)
        return token

    def refusal(self, job_id: str, kind="ConsentWithheld", code="analyst_unknown", **changes) -> str:
        given = {
            "message": "this node does not know the analyst",
            "clause": "policy.analysts",
            "remedy": "ask its operator",
        }
        statement = {"job": job_id, "kind": kind, "code": code} | given | changes
        return self.signer.sign(REFUSAL_TYP, msgspec.json.encode(statement))

    def refuse(self, job_id: str, **changes) -> None:
        self.world.jobs.refuse(self.name, job_id, self.refusal(job_id, **changes))

    def sealed(self, assignment: OpenAttempt) -> SealedContribution:
        job_id, spec, _ = self._read(assignment.specification)
        holder, tag_seed, params_hash, factor = self.holders[job_id], self.world.tag_seed, spec.params_hash, 1
        place = {"round": assignment.round, "consents": assignment.consents}
        if (given := assignment.parameters) is not None:
            body = self.world.jobs.whole_parameters(self.name, job_id, assignment)
            sent = SealedParameters(given.statement, body)
            found = holder.parameters(**place, sealed=sent, analyst=spec.analyst)
            tag_seed, params_hash, factor = found.tag_seed, found.hash, int(found.plaintext)
        attempt = holder.open(**place, attempt=assignment.attempt, params_hash=params_hash)
        words = WordVector.from_integers([factor * word for word in self.contribution], spec.word_bits)
        sealed = holder.seal(attempt, words, tag_seed=tag_seed, data_version="v1")
        self.records[job_id, assignment.round, assignment.attempt] = sealed.record
        return sealed

    def seal(self, assignment: OpenAttempt) -> None:
        job_id, spec, asker = self._read(assignment.specification)
        if job_id not in self.holders:
            self.consent(job_id, spec, asker)
            return
        try:
            sealed = self.sealed(assignment)
        except LocalProtocolError as error:
            if error.code != "keys_lost":
                raise
            self.consent(job_id, spec, asker)
            return
        except KapokError as error:
            self.refuse(job_id, kind=type(error).__name__, code=error.code, message=error.message)
            return
        self.world.jobs.seal(self.name, job_id, sealed.token, sealed.chunks)

    def release_token(self, assignment: Completion) -> str:
        record = self.records[assignment.job_id, assignment.round, assignment.attempt]
        return release(record, assignment.seals, signer=self.signer, verifier=self.world.verifier)

    def release(self, assignment: Completion) -> None:
        record = self.records[assignment.job_id, assignment.round, assignment.attempt]
        organisation = self.world.organisation_of(assignment.job_id)
        past = [one for scope, one in self.released if scope == organisation]
        try:
            cohort.check_release(self.rule, record.as_past, past)
        except KapokError as error:
            self.refuse(assignment.job_id, kind=type(error).__name__, code=error.code, message=error.message)
            return
        if record.as_past not in past:
            self.released.append((organisation, record.as_past))
        self.world.jobs.release(self.name, assignment.job_id, self.release_token(assignment))


class World:
    """The broker's logic with everybody around it."""

    def __init__(self, place: Path | str, domain: Domain, limits: Limits | None = None) -> None:
        self.place = place
        self.domain = domain
        self.limits = limits or Limits()
        self.clock = Clock()
        self.tag_seed = secrets.token_bytes(32)
        self.announced: list[tuple[frozenset[str], frozenset[str]]] = []
        self.up: set[str] = set()
        self.nodes: dict[str, Node] = {}
        self._open()
        self.jobs.resume()
        self.publisher = Analyst(self, "university", "ada")
        self.dataset_hash = self.catalogue.publish(self.publisher.name, self.publisher.dataset())

    def _open(self) -> None:
        self.store = Store.open(self.place, PASSWORD)
        self.verifier = JwsVerifier(self.domain.root.pem, self.clock)
        self.context = Context(
            self.store,
            self.verifier,
            self.clock,
            self.limits,
            announce=lambda nodes, jobs: self.announced.append((nodes, frozenset(jobs))),
            connected=self.up.__contains__,
        )
        self.jobs = DrivenJobs(self.context)
        self.catalogue = Catalogue(self.context, self.up.__contains__)
        self.reopenings = Reopenings(self.context)

    def close(self) -> None:
        self.store.close()

    def restart(self) -> None:
        """The broker was killed, and another process starts over its store when it is known to be dead."""
        self.close()
        self._open()
        with self.store.transaction() as tx:
            tx.brokers.forget(tx.brokers.others(self.context.broker))
        self.jobs.resume()

    def add(self, organisation: str, name: str = "node", contribution: Iterable[int] = ()) -> Node:
        node = Node(
            self,
            self.domain.credentials(organisation, "node", name),
            list(contribution) or [len(self.nodes) + 1, -len(self.nodes), 10 ** len(self.nodes)],
        )
        self.nodes[str(node.name)] = node
        self.nodes = dict(sorted(self.nodes.items(), key=lambda entry: entry[0].encode()))
        node.join()
        return node

    def organisation_of(self, job_id: str) -> str:
        with self.store.snapshot() as tx:
            job = tx.jobs.get(job_id)
            assert job is not None
            return job.organisation

    def run(self, nodes: Iterable[Node] | None = None, *, between: Callable[[], None] | None = None) -> None:
        """Let these nodes work, and the broker fold, until nobody has anything to do."""
        chosen = list(self.nodes.values() if nodes is None else nodes)
        for _ in range(100):
            busy = False
            for node in chosen:
                busy = node.work() or busy
                if between:
                    between()
            self.jobs.fold_all()
            if not busy:
                return
        raise AssertionError("the nodes never came to an end")

    def truth(self, nodes: Iterable[Node] | None = None) -> list[int]:
        chosen = list(self.nodes.values() if nodes is None else nodes)
        return [sum(column) for column in zip(*(node.contribution for node in chosen), strict=True)]

    def history(self, asked: Asked) -> list[str]:
        return history(self.store, asked.id)

    def reasons(self, asked: Asked) -> list[tuple[str, str]]:
        return reasons(self.store, asked.id)

    def stored_chunks(self) -> tuple[int, int]:
        return stored_chunks(self.store)


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain()


@pytest.fixture
def place(request, tmp_path):
    """Gives each world a store of its own; only one at a time may be open on PostgreSQL."""
    folders = (tmp_path / f"broker-{number}.db" for number in itertools.count())
    if getattr(request, "param", "sqlite") == "sqlite":
        yield lambda: next(folders)
        return
    server = request.getfixturevalue("postgres")
    yield lambda: emptied(server)
    # The driver leaves its sockets to the garbage collector.
    gc.collect()


@pytest.fixture
def make_world(place, domain):
    """Makes worlds with four hospitals; closes them at the end."""
    worlds: list[World] = []

    def make(*organisations: str, limits: Limits | None = None) -> World:
        world = World(place(), domain, limits)
        worlds.append(world)
        for organisation in organisations or ("ash", "birch", "cedar", "dogwood"):
            world.add(organisation)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world) -> World:
    return make_world()


@pytest.fixture
def ada(world) -> Analyst:
    return world.publisher


@pytest.fixture
def another(request) -> Callable[..., Analyst]:
    """Makes further analysts, of the test's own world if none is given."""

    def make(organisation: str, name: str, world: World | None = None) -> Analyst:
        return Analyst(world or request.getfixturevalue("world"), organisation, name)

    return make


@pytest.fixture
def parties():
    """The classes of this file, for tests that put a world of their own together."""
    return SimpleNamespace(Analyst=Analyst, Domain=Domain, Node=Node, words=WORDS)
