"""The analyst drives a job of several rounds: whatever breaks in between, it goes on from the job's file."""

import contextlib
from dataclasses import dataclass, field, replace
from statistics import median_low

import msgspec
import pytest
from support import bisection

from kapok.client.opening import read_specification
from kapok.computations import registry
from kapok.documents.envelope import document_id, encode
from kapok.documents.statements import JOB_TYP
from kapok.errors import KapokError, NotFound, PeerProtocolError, Unavailable
from kapok.identity.names import PartyName, Role
from kapok.protocols.secure_sum.aggregator import fold
from kapok.protocols.secure_sum.analyst import tag_seed_info
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.protocols.secure_sum.holder import Holder, release
from kapok.protocols.secure_sum.params import RosterRules
from kapok.protocols.secure_sum.round_parameters import SealedParameters
from kapok.protocols.words import WordVector
from kapok.wire.messages import JobState, RoundParameters

AGES = {
    "cleveland": (29, 41, 63),
    "hungarian": (28, 44),
    "switzerland": (32, 60, 61, 74),
    "va": (35, 77),
}
TRUTH = median_low(age for ages in AGES.values() for age in ages)


@dataclass
class Rounds:
    """An honest broker and its nodes, real holders all, one round after the other; and what goes wrong."""

    domain: object
    handler: object
    specification: str = ""
    round: int = 1
    attempt: int = 1
    parts: list = field(default_factory=list)
    versions: dict = field(default_factory=dict)
    steered: list = field(default_factory=list)
    steer_errors: list = field(default_factory=list)
    away: tuple = ()
    state: JobState = JobState.GATHERING

    def begin(self, specification):
        self.specification = specification
        self.job_id, self.spec, analyst = read_specification(specification, self.domain.verifier)
        self.terms = self.spec.terms(self.job_id, analyst)
        self.new_keys()
        self.sum()

    def new_keys(self):
        self.holders = {
            PartyName.parse(name): Holder(
                self.terms,
                name=name,
                signer=self.domain.signer(Role.NODE, PartyName.parse(name).organisation),
                verifier=self.domain.verifier,
                rules=RosterRules(min_parties=3),
                cohort=CohortStatement.of("fixed", []),
            )
            for name in self.spec.members
        }

    @property
    def consents(self):
        return tuple(
            one.consent() for name, one in self.holders.items() if name.organisation not in self.away
        )

    def sum(self, parameters=None):
        sealed = {name: self._sealed(name, holder, parameters) for name, holder in self.holders.items()}
        seals = tuple(one.token for one in sealed.values())
        releases = tuple(
            release(
                one.record,
                seals,
                signer=self.domain.signer(Role.NODE, name.organisation),
                verifier=self.domain.verifier,
            )
            for name, one in sealed.items()
        )
        chunks = zip(*(one.chunks for one in sealed.values()), strict=True)
        evidence = Evidence(
            round=self.round, attempt=self.attempt, consents=self.consents, seals=seals, releases=releases
        )
        self.parts = [evidence, *(fold(self.terms, column) for column in chunks)]
        self.state = JobState.SUMMED if self.round == self.spec.rounds else JobState.STEERING

    def _sealed(self, name, holder, parameters):
        hash_, threshold = self.spec.params_hash, 10**9
        if parameters is None:
            info = tag_seed_info(bytes.fromhex(self.spec.dataset), self.spec.nonce, str(name))
            seed = self.domain.tag_keys[name.organisation].unwrap(self.spec.tag_seeds[str(name)], info)
        else:
            given = SealedParameters(parameters.statement, parameters.ciphertext)
            found = holder.parameters(
                round=self.round, consents=self.consents, sealed=given, analyst=self.spec.analyst
            )
            hash_, seed, threshold = found.hash, found.tag_seed, int(found.plaintext)
        attempt = holder.open(
            round=self.round, attempt=self.attempt, consents=self.consents, params_hash=hash_
        )
        count = sum(age <= threshold for age in AGES[name.organisation])
        words = WordVector.from_integers([count, 0], self.spec.word_bits)
        version = self.versions.get(name.organisation, "v1")
        return holder.seal(attempt, words, tag_seed=seed, data_version=version)

    # What the handler is asked.

    async def watch(self, _caller, job_id):
        yield replace(self.handler.status(job_id, self.state), round=self.round)

    async def job(self, _caller, job_id):
        return replace(self.handler.status(job_id, self.state), round=self.round)

    async def fetch(self, _caller, _job_id):
        for part in self.parts:
            yield part

    async def steer(self, _caller, _job_id, parameters):
        if self.steer_errors:
            raise self.steer_errors.pop(0)
        self.steered.append(parameters)
        if self.parts[0].releases:
            self.round, self.attempt = self.round + 1, 1
        self.sum(parameters)


@pytest.fixture
def rounds(session, broker, domain, monkeypatch):
    monkeypatch.setitem(registry._MODULES, "bisection", bisection.__name__)
    rounds = Rounds(domain, broker)
    for verb in ("watch", "fetch", "job"):
        monkeypatch.setattr(type(broker), verb, _method(getattr(rounds, verb)), raising=False)
    monkeypatch.setattr(type(broker), "steer", _steering(rounds.steer), raising=False)
    return rounds


def _method(work):
    return lambda _handler, *arguments: work(*arguments)


def _steering(work):
    async def steer(_handler, caller, job_id, statement, chunks):
        await work(caller, job_id, RoundParameters(statement, b"".join([chunk async for chunk in chunks])))

    return steer


@pytest.fixture
async def job_id(session, rounds, broker, heart):
    """A job of eight rounds: the median of the column age."""
    asked = session.folder.load(await session.submit("SELECT COUNT(*) FROM heart"))
    _, spec, _ = read_specification(asked.specification, session.verifier)
    question = bisection.parse("age", heart)
    spec = msgspec.structs.replace(
        spec, computation="bisection", question="age", rounds=question.rounds, words=2, at_least=3
    )
    payload = encode(spec)
    record = msgspec.structs.replace(
        asked, job_id=document_id(payload), specification=session.signer.sign(JOB_TYP, payload)
    )
    session.folder.forget(asked.job_id)
    session.folder.save(record)
    broker.submitted[:] = [record.specification]
    rounds.begin(record.specification)
    return record.job_id


async def test_wait_goes_through_all_rounds_to_the_answer(session, broker, rounds, job_id):
    told = []
    result = await session.wait(job_id, progress=told.append)
    assert result.rows == [(TRUTH,)]
    assert rounds.round == rounds.spec.rounds == 8
    assert broker.acknowledged == [job_id]
    assert session.folder.load(job_id).turn is None
    assert [one.step for one in told].count("opening") == 8


async def test_result_does_not_drive_and_says_what_does(session, rounds, job_id):
    with pytest.raises(Unavailable) as caught:
        await session.result(job_id)
    assert caught.value.code == "not_ready"
    assert "round 1/8" in caught.value.message
    assert "kapok job wait" in caught.value.remedy
    assert rounds.steered == []


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("died_in", [1, 4])
async def test_an_analyst_that_dies_goes_on_where_it_was(session, rounds, job_id, died_in, arrived):
    """It dies with the parameters on disk: before the broker has them, or before it knows that it has."""
    steer = rounds.steer

    async def dies(caller, job, parameters):
        if rounds.round == died_in:
            if arrived:
                await steer(caller, job, parameters)
            raise PeerProtocolError("the machine is off", code="off")
        await steer(caller, job, parameters)

    rounds.steer = dies
    with _patched(rounds, dies), pytest.raises(PeerProtocolError):
        await session.wait(job_id)
    kept = session.folder.load(job_id)
    assert (kept.turn.round, rounds.round) == (died_in + 1, died_in + arrived)
    before = kept.turn
    with _patched(rounds, steer):
        assert (await session.wait(job_id)).rows == [(TRUTH,)]
    assert before.tag_seed not in (session.folder._file(job_id).read_bytes())


@contextlib.contextmanager
def _patched(rounds, steer):
    kind = type(rounds.handler)
    before = kind.steer
    kind.steer = _steering(steer)
    try:
        yield
    finally:
        kind.steer = before


async def test_parameters_are_sealed_anew_for_new_keys_and_stay_what_they_were(session, rounds, job_id):
    with _patched(rounds, _raiser(PeerProtocolError("off", code="off"))), pytest.raises(PeerProtocolError):
        await session.wait(job_id)
    rounds.new_keys()
    rounds.round, rounds.attempt = 2, 2
    rounds.parts = [Evidence(round=2, attempt=2, consents=rounds.consents, seals=(), releases=())]
    assert (await session.wait(job_id)).rows == [(TRUTH,)]


def _raiser(error):
    async def steer(*_arguments):
        raise error

    return steer


@pytest.mark.parametrize("code", ["wrong_round", "not_steering"])
async def test_an_analyst_that_was_overtaken_by_new_keys_looks_again(session, rounds, job_id, code):
    rounds.steer_errors = [PeerProtocolError("new keys meanwhile", code=code)]
    assert (await session.wait(job_id)).rows == [(TRUTH,)]
    assert rounds.steer_errors == []


async def test_data_that_changed_between_rounds_end_the_job_by_name(session, broker, rounds, job_id):
    with _patched(rounds, _raiser(PeerProtocolError("off", code="off"))), pytest.raises(PeerProtocolError):
        await session.wait(job_id)
    rounds.versions = {"va": "v2"}
    with pytest.raises(Unavailable) as caught:
        await session.wait(job_id)
    assert (caught.value.code, PartyName.parse(caught.value.party).organisation) == ("data_changed", "va")
    record = session.folder.load(job_id)
    assert (record.outcome, record.turn, record.receiver_key) == ("failed", None, None)
    assert broker.states == [JobState.CANCELLED]
    with pytest.raises(Unavailable):
        await session.wait(job_id)


async def test_other_nodes_than_those_of_the_first_round_get_nothing(session, rounds, job_id):
    with _patched(rounds, _raiser(PeerProtocolError("off", code="off"))), pytest.raises(PeerProtocolError):
        await session.wait(job_id)
    rounds.away = ("va",)
    rounds.parts = [Evidence(round=2, attempt=2, consents=rounds.consents, seals=(), releases=())]
    with pytest.raises(KapokError) as caught:
        await session.wait(job_id)
    assert caught.value.code == "roster_changed"
    assert rounds.steered == []


async def test_a_broker_that_shows_another_round_is_not_followed(session, rounds, job_id):
    rounds.parts[0] = replace(rounds.parts[0], round=3)
    with pytest.raises(PeerProtocolError) as caught:
        await session.wait(job_id)
    assert caught.value.code == "wrong_round"
    rounds.parts = [Evidence(round=1, attempt=1, consents=rounds.consents, seals=(), releases=())]
    with pytest.raises(PeerProtocolError) as caught:
        await session.wait(job_id)
    assert caught.value.code == "wrong_round"
    assert session.folder.load(job_id).outcome == "open"


async def test_a_sum_of_a_one_round_job_that_is_not_there_is_said(session, broker, rounds, domain):
    job_id = await session.submit("SELECT COUNT(*) FROM heart")
    rounds.state, rounds.fetch = JobState.SUMMED, None

    async def nothing(_caller, _job_id):
        raise NotFound("the job has no sum yet", code="no_sum_yet")
        yield

    type(broker).fetch = _method(nothing)
    with pytest.raises(NotFound):
        await session.wait(job_id)


async def test_where_a_job_is_stays_locked_with_the_passphrase(session, rounds, job_id, monkeypatch):
    from kapok.client.jobs import JobFolder
    from kapok.client.vault import Vault

    session.folder = JobFolder(session.folder.path, Vault("correct horse"))
    session.folder.save(session.folder.load(job_id))
    with _patched(rounds, _raiser(PeerProtocolError("off", code="off"))), pytest.raises(PeerProtocolError):
        await session.wait(job_id)
    kept = session.folder.load(job_id)
    assert (kept.turn, kept.tag_seed) == (None, None)
    opened = session.folder.unlock(kept)
    assert opened.turn.round == 2
    assert "hidden" in repr(opened.turn)
    assert (await session.wait(job_id)).rows == [(TRUTH,)]
