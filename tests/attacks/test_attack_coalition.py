"""A dishonest broker, the analyst and all but two hospitals together, over the wire.

The colluding hospitals' mask keys are taken out of their running daemons, the analyst has the receiver's key
and the tag seed, the broker all that was sent. What they can compute from it is computed.
"""

from types import SimpleNamespace

import pytest
from support.collusion import strip
from support.dishonest_broker import refusal_code
from support.dishonest_town import ROWS

from kapok.computations.registry import computation
from kapok.nodes.runner import Seal
from kapok.protocols.secure_sum.aggregator import fold
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.messages import (
    CONSENT_TYP,
    RELEASE_TYP,
    SEAL_TYP,
    ConsentStatement,
    ReleaseStatement,
    SealStatement,
    encode,
    read,
)
from kapok.protocols.secure_sum.roster import read_roster
from kapok.wire.messages import Closed, Completion, JobState, OpenAttempt

pytestmark = pytest.mark.asyncio(loop_scope="module")
WORDS = 2**64


async def seen(town, job):
    """What the coalition has of each hospital after an honest run: its vector, and what its release gives."""
    await town.state(job, JobState.SUMMED)
    sent = {}
    seals = await town.plot.until("seal", "abcd", job.id)
    releases = await town.plot.until("release", "abcd", job.id)
    for seal, release in zip(seals, releases, strict=True):
        statement, _ = read(SealStatement, SEAL_TYP, seal.token, town.verifier)
        released, _ = read(ReleaseStatement, RELEASE_TYP, release.token, town.verifier)
        record = SimpleNamespace(
            context=Context(
                job_id=statement.job,
                round=statement.round,
                attempt=statement.attempt,
                roster_hash=statement.roster,
                params_hash=statement.params,
            ),
            name=statement.name,
            release=released.release,
            members="abcd",
        )
        sent[seal.node] = SimpleNamespace(record=record, chunks=seal.chunks, token=seal.token)
    return sent


def coalition(town, job):
    """The job, with what the analyst knows of it, as `support.collusion` reads it."""
    return SimpleNamespace(
        terms=job.terms, result_key=job.key, receiver_key=job.receiver, tag_seed=job.tag_seed
    )


def keys_of(town, job, letters):
    """The private mask keys of hospitals that collude, out of their daemons."""
    return {
        town.name(letter): town.plot.runners[town.name(letter)]._context.open.get(job.id).holder._mask_key
        for letter in letters
    }


async def left_of(town, colluding, **asked):
    """What is left of each honest hospital's words when the coalition has taken away all that it knows."""
    town.plot.show = lambda _node, assignment: None if isinstance(assignment, Closed) else assignment
    job = await town.ask(**asked)
    sent = await seen(town, job)
    consents = [one.token for one in await town.plot.until("consent", "abcd", job.id)]
    roster = read_roster(job.terms, consents, town.verifier)
    known, keys = coalition(town, job), keys_of(town, job, colluding)
    return {letter: strip(known, roster, sent[letter], keys) for letter in sorted(set(ROWS) - set(colluding))}


@pytest.mark.parametrize("seal", ["pad", "paillier"])
async def test_a_coalition_of_all_but_two_reads_the_sum_of_two(town, seal, paillier_key_2048):
    given = {"seal": seal, "key": paillier_key_2048} if seal == "paillier" else {}
    left = await left_of(town, "cd", **given)
    together = (left["a"][0] + left["b"][0]) % WORDS
    assert together == ROWS["a"] + ROWS["b"]
    assert all(left[letter][0] not in range(1000) for letter in "ab")


async def test_a_coalition_of_all_but_one_reads_the_last(town):
    """The limit of the claim, and the proof that the reading above is as strong as it can be."""
    left = await left_of(town, "bcd")
    assert left["a"][0] == ROWS["a"]


async def test_a_colluding_node_takes_an_honest_nodes_key_for_its_own(town):
    """So that the victim would subtract and add one and the same mask: the victim refuses, and names it."""
    town.plot.show = lambda _node, asked: None if isinstance(asked, OpenAttempt | Closed) else asked
    town.plot.keeps = lambda _heard: False
    job = await town.ask()
    by = dict(zip("abcd", await town.plot.until("consent", "abcd", job.id), strict=True))
    honest, _ = read(ConsentStatement, CONSENT_TYP, by["b"].token, town.verifier)
    own, _ = read(ConsentStatement, CONSENT_TYP, by["c"].token, town.verifier)
    twin = ConsentStatement(
        job=own.job, name=own.name, mask_key=honest.mask_key, wrap_key=own.wrap_key, cohort=own.cohort
    )
    forged = town.node_signer("c").sign(CONSENT_TYP, encode(twin))
    shown = (by["a"].token, by["b"].token, forged, by["d"].token)
    answers = await town.plot.tell(
        "a", OpenAttempt(specification=job.token, round=1, attempt=1, consents=shown)
    )
    assert refusal_code(answers, town.verifier) == "bad_roster"
    assert town.plot.sent("seal", job.id) == []


async def test_the_analyst_and_the_broker_show_nodes_different_parameters(town):
    """In the second round of a median d gets another seed than the others; each is signed and sealed well."""
    median = await town.ask("SELECT MEDIAN(age) FROM clinic")
    await town.state(median, JobState.STEERING)
    evidence, _chunks = await town.fetched(median)
    first = await sum_of(town, median, evidence)
    following = computation("query").go_on().advance(median.question, town.dataset, None, first)
    town.plot.show = lambda _node, asked: None if isinstance(asked, Completion | Closed) else asked
    town.plot.keeps = lambda _heard: False
    seals = {}
    for letter in "abcd":
        median.later_seed = b"d" * 32 if letter == "d" else b"s" * 32
        asked = OpenAttempt(
            specification=median.token,
            round=2,
            attempt=1,
            consents=evidence.consents,
            parameters=median.parameters(list(evidence.consents), following.parameters),
        )
        [seals[letter]] = await town.plot.tell(letter, asked)
    assert all(isinstance(one, Seal) for one in seals.values())
    tokens = tuple(seals[letter].token for letter in "abcd")
    for letter in "abcd":
        asked = Completion(job_id=median.id, round=2, attempt=1, seals=tokens)
        assert refusal_code(await town.plot.tell(letter, asked), town.verifier) == "wrong_attempt"
    assert town.released(median) == {letter: [(1, 1)] for letter in "abcd"}


async def sum_of(town, job, evidence):
    """The words of a sum that the colluding analyst opens by hand."""
    seals = await town.plot.until("seal", "abcd", job.id)
    job.fold = lambda _seals: [
        fold(job.terms, column) for column in zip(*(one.chunks for one in seals), strict=True)
    ]
    tokens = [SimpleNamespace(token=token) for token in evidence.seals]
    opened = job.unseal(evidence.consents, tokens, evidence.releases, evidence.attempt)
    return opened.words
