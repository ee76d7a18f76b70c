"""A node that sends garbage to an honest broker, over the wire: named, and left out where fewer will do."""

import base64
import secrets
from dataclasses import replace

import pytest
from support.dishonest_town import ROWS
from support.parties import P256_ORDER

from kapok.nodes.runner import Consent, Release, Seal
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
from kapok.wire.messages import JobState

pytestmark = pytest.mark.asyncio(loop_scope="module")
OTHERS = sum(rows for letter, rows in ROWS.items() if letter != "c")


def garbled(token):
    """The same statement under a signature that is none."""
    head, payload, _ = token.split(".")
    return f"{head}.{payload}.{base64.urlsafe_b64encode(secrets.token_bytes(64)).rstrip(b'=').decode()}"


def other_signature(token):
    """The same statement under the second signature that verifies too: (r, −s)."""
    head, payload, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32)
    return f"{head}.{payload}.{base64.urlsafe_b64encode(twin).rstrip(b'=').decode()}"


def signed_anew(town, kind, typ, token, by="c", **changes):
    """A statement, changed, under the signature of a node."""
    statement, _ = read(kind, typ, token, town.verifier)
    changed = {name: getattr(statement, name) for name in statement.__struct_fields__} | changes
    return town.node_signer(by).sign(typ, encode(kind(**changed)))


CONSENTS = {
    "no token": (lambda _town, _token: "garbage", "bad_envelope"),
    "a signature that is none": (lambda _town, token: garbled(token), "bad_signature"),
    "another's signature": (
        lambda town, token: signed_anew(town, ConsentStatement, CONSENT_TYP, token, by="d"),
        "bad_statement",
    ),
    "of another job": (
        lambda town, token: signed_anew(town, ConsentStatement, CONSENT_TYP, token, job=b"j" * 32),
        "wrong_job",
    ),
    "no statement": (lambda town, _token: town.node_signer("c").sign(CONSENT_TYP, b"{}"), "bad_statement"),
}


@pytest.mark.parametrize("sent", CONSENTS)
async def test_a_node_sends_a_consent_that_is_none(town, sent):
    change, code = CONSENTS[sent]
    town.tampers("c", Consent, lambda answer: replace(answer, token=change(town, answer.token)))
    job = await town.ask(at_least=3)
    assert await town.fault("c", job, code)
    assert await town.answer_without_c(job) == OTHERS


SEALS = {
    "an altered vector": (
        lambda chunks: [bytes([chunks[0][0] ^ 1]) + chunks[0][1:], *chunks[1:]],
        "digest_differs",
    ),
    "a vector too short": (lambda chunks: chunks[:-1], "bad_chunk"),
    "a vector too long": (lambda chunks: [*chunks, chunks[-1]], "bad_chunk"),
    "chunks of another length": (lambda chunks: [chunks[0][:-1], *chunks[1:]], "bad_chunk"),
    "no chunk at all": (lambda _chunks: [], "bad_chunk"),
}


@pytest.mark.parametrize("sent", SEALS)
async def test_a_node_sends_a_vector_that_is_none(town, sent):
    change, code = SEALS[sent]
    town.tampers("c", Seal, lambda answer: replace(answer, chunks=tuple(change(list(answer.chunks)))))
    job = await town.ask(at_least=3)
    assert await town.fault("c", job, code)
    assert await town.answer_without_c(job) == OTHERS


STATEMENTS = {
    "a signature that is none": (lambda _town, token: garbled(token), "bad_signature"),
    "of other parameters": (
        lambda town, token: signed_anew(town, SealStatement, SEAL_TYP, token, params=b"p" * 32),
        "wrong_parameters",
    ),
    "another's": (
        lambda town, token: signed_anew(town, SealStatement, SEAL_TYP, token, by="d"),
        "bad_statement",
    ),
}


@pytest.mark.parametrize("sent", STATEMENTS)
async def test_a_node_signs_something_else_of_its_vector(town, sent):
    change, code = STATEMENTS[sent]
    town.tampers("c", Seal, lambda answer: replace(answer, token=change(town, answer.token)))
    job = await town.ask(at_least=3)
    assert await town.fault("c", job, code)
    assert await town.answer_without_c(job) == OTHERS


CIPHERTEXTS = {
    "not below the modulus": b"\xff",
    "zero": b"\x00",
}


@pytest.mark.parametrize("sent", CIPHERTEXTS)
async def test_a_node_sends_words_outside_of_the_ring(town, sent, paillier_key_2048):
    """Under the seal ``paillier``; under ``pad`` every string of bytes is a word of the ring."""

    def change(answer):
        return replace(answer, chunks=tuple(CIPHERTEXTS[sent] * len(chunk) for chunk in answer.chunks))

    town.tampers("c", Seal, change)
    job = await town.ask(at_least=3, seal="paillier", key=paillier_key_2048)
    assert await town.fault("c", job, "bad_ciphertext")
    assert await town.answer_without_c(job) == OTHERS


RELEASES = {
    "a signature that is none": (lambda _town, token: garbled(token), "bad_signature"),
    "not what it had sealed": (
        lambda town, token: signed_anew(town, ReleaseStatement, RELEASE_TYP, token, release=b"x" * 100),
        "release_differs",
    ),
}


@pytest.mark.parametrize("sent", RELEASES)
async def test_a_node_sends_a_release_that_is_none(town, sent, monkeypatch):
    """No sum can be opened then, for its pad is in it: the job ends, and says whose release was refused."""
    change, code = RELEASES[sent]
    town.tampers("c", Release, lambda answer: replace(answer, token=change(town, answer.token)))
    job = await town.ask()
    assert await town.fault("c", job, code)
    await town.plot.until("release", "abd", job.id)
    monkeypatch.setattr(town.plot._jobs._context, "clock", lambda: float(job.spec.deadline))
    status = await town.state(job, JobState.FAILED, JobState.SUMMED)
    assert status.state is JobState.FAILED
    assert (status.error.code, status.error.party) == ("deadline_passed", town.name("c"))
    assert f"the last it sent was refused: {code}" in status.error.message


async def test_a_node_alters_its_signatures(town):
    """(r, −s) verifies as well: it is the same statement, and nothing is counted twice by it."""
    town.tampers(
        "c", Consent | Seal | Release, lambda answer: replace(answer, token=other_signature(answer.token))
    )
    job = await town.ask()
    await town.state(job, JobState.SUMMED)
    assert town.opened(job, *await town.fetched(job)) == sum(ROWS.values())
