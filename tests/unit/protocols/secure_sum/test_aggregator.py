"""The aggregator: cuts, folds and checks, and names who sent what it refuses."""

import hashlib
from dataclasses import replace

import pytest
from support.parties import exchange

from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum import aggregator, vector
from kapok.protocols.secure_sum.holder import release
from kapok.protocols.secure_sum.messages import (
    RELEASE_TYP,
    SEAL_TYP,
    ReleaseStatement,
    SealStatement,
    encode,
    read,
)


@pytest.fixture(scope="module", params=["pad", "paillier"])
def done(request, paillier_key_2048):
    job = exchange(result_key=paillier_key_2048 if request.param == "paillier" else None, rounds=2)
    sealed = job.seal_all()
    roster = aggregator.open_roster(job.terms, job.consents(), job.authority)
    return job, roster, sealed, job.release_all(sealed)


@pytest.mark.parametrize("word_bits", [8, 16, 24, 32, 64, 104, 192])
@pytest.mark.parametrize("words", [1, 2, 3, 5, 9, 10, 32768, 32769, 100_001])
def test_a_chunks_length_tells_the_tag_from_words(word_bits, words):
    terms = replace(exchange().terms, words=words, word_bits=word_bits)
    lengths = aggregator.chunk_lengths(terms, 4)
    tag = word_bits // 8 + 8
    assert lengths[-1] == tag
    assert tag not in lengths[:-1]
    assert all(length % (word_bits // 8) == 0 for length in lengths[:-1])
    assert sum(lengths) == words * word_bits // 8 + tag == aggregator.vector_bytes(terms, 4)
    assert max(lengths) <= vector.MOST_CHUNK_BYTES
    assert aggregator.chunk_bytes(terms) % (word_bits // 8) == 0


def test_folding_in_steps_is_folding_at_once(done):
    job, _, sealed, _ = done
    for column in zip(*(one.chunks for one in sealed), strict=True):
        partial = column[0]
        for chunk in column[1:]:
            partial = aggregator.fold(job.terms, [partial, chunk])
        assert partial == aggregator.fold(job.terms, column)


def test_words_wrap_and_do_not_carry_into_their_neighbours():
    terms = exchange(word_bits=16).terms
    assert aggregator.fold(terms, [b"\xff\xff\x01\x00", b"\x01\x00\x02\x00"]) == b"\x00\x00\x03\x00"
    assert aggregator.fold(terms, [b"\xff" * 10, b"\x01" + bytes(9)]) == bytes(10)


def test_fold_refuses_chunks_that_do_not_fit_together(done):
    job, _, sealed, _ = done
    chunk = sealed[0].chunks[0]
    for chunks in ([], [chunk, chunk[:-8]], [chunk, b""], [b"", b""], [chunk[:-1], chunk[:-1]]):
        with pytest.raises(PeerProtocolError) as error:
            aggregator.fold(job.terms, chunks)
        assert error.value.code in ("bad_chunk", "bad_ciphertext")


def test_check_chunks_refuses_wrong_lengths(done):
    job, _, sealed, _ = done
    chunk = sealed[0].chunks[0]
    for bad in (b"", chunk[:-1], chunk + b"\x00", chunk * (vector.MOST_CHUNK_BYTES // len(chunk) + 1)):
        for chunks in ([bad], [chunk, bad], [bad, chunk]):
            with pytest.raises(PeerProtocolError) as error:
                aggregator.check_chunks(job.terms, chunks, party="mallory")
            assert (error.value.code, error.value.party) == ("bad_chunk", "mallory")
    aggregator.check_chunks(job.terms, [])


@pytest.mark.parametrize("value", ["n", "n+1", "zero", "most"])
def test_check_chunks_refuses_ciphertexts_out_of_their_form(paillier_key_2048, value):
    job = exchange(result_key=paillier_key_2048)
    key = paillier_key_2048.public
    digit = {"n": key.n, "n+1": key.n + 1, "zero": 0, "most": 2**2048 - 1}[value].to_bytes(256, "little")
    good, bad = (1).to_bytes(512, "little"), digit + bytes(256)
    aggregator.check_chunks(job.terms, [good, good + good], party="mallory")
    for chunks in ([bad], [good, bad], [good + bad, good]):
        with pytest.raises(PeerProtocolError) as error:
            aggregator.check_chunks(job.terms, chunks, party="mallory")
        assert (error.value.code, error.value.party) == ("bad_ciphertext", "mallory")


@pytest.mark.parametrize("culprit", [0, 2])
def test_fold_names_whose_ciphertext_shares_a_factor_with_the_key(paillier_key_2048, culprit):
    """Only who knows a factor can send such a one: it is found by the product of all, and then looked for."""
    job = exchange(result_key=paillier_key_2048)
    chunks = [(5 + index).to_bytes(256, "little") + bytes(256) for index in range(4)]
    chunks[culprit] = paillier_key_2048._p.prime.to_bytes(512, "little")
    aggregator.check_chunks(job.terms, chunks)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.fold(job.terms, chunks, parties=job.names)
    assert (error.value.code, error.value.party) == ("bad_ciphertext", job.names[culprit])
    with pytest.raises(PeerProtocolError) as error:
        aggregator.fold(job.terms, chunks)
    assert (error.value.code, error.value.party) == ("bad_ciphertext", None)
    chunks[culprit] = chunks[3]
    aggregator.fold(job.terms, chunks, parties=job.names)


def test_fold_names_nobody_for_what_has_passed_the_check_before(paillier_key_2048):
    job = exchange(result_key=paillier_key_2048)
    chunks = [(1).to_bytes(512, "little"), b"\xff" * 512]
    with pytest.raises(PeerProtocolError) as error:
        aggregator.fold(job.terms, chunks, parties=job.names)
    assert (error.value.code, error.value.party) == ("bad_ciphertext", None)


def test_check_vector_holds_the_bytes_against_the_signature(done):
    job, roster, sealed, _ = done
    statement = aggregator.check_seal(job.terms, roster, 1, 1, sealed[0].token, job.authority)
    digest = hashlib.sha256(b"".join(sealed[0].chunks)).digest()
    aggregator.check_vector(statement, digest)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_vector(statement, bytes(32))
    assert (error.value.code, error.value.party) == ("digest_differs", job.names[0])


@pytest.mark.parametrize(("number", "attempt"), [(2, 1), (1, 2)])
def test_a_seal_for_another_round_or_attempt(done, number, attempt):
    job, roster, sealed, _ = done
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_seal(job.terms, roster, number, attempt, sealed[1].token, job.authority)
    assert (error.value.code, error.value.party) == ("wrong_attempt", job.names[1])


def test_a_seal_with_other_parameters_is_named(done):
    job, roster, sealed, _ = done
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_seal(job.terms, roster, 1, 1, sealed[1].token, job.authority, params_hash=bytes(32))
    assert (error.value.code, error.value.party) == ("wrong_parameters", job.names[1])


def test_a_release_must_be_the_one_that_was_committed_to(done):
    job, roster, sealed, releases = done
    seals = [aggregator.check_seal(job.terms, roster, 1, 1, one.token, job.authority) for one in sealed]
    aggregator.check_release(job.terms, roster, 1, 1, seals[0], releases[0], job.authority)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_release(job.terms, roster, 1, 1, seals[1], releases[0], job.authority)
    assert (error.value.code, error.value.party) == ("release_differs", job.names[0])
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_release(job.terms, roster, 1, 2, seals[0], releases[0], job.authority)
    assert error.value.code == "wrong_attempt"


def statement_of(job, sealed, index, **changes):
    """A seal statement with some fields replaced, signed by this member with its own key."""
    good, _ = read(SealStatement, SEAL_TYP, sealed[index].token, job.authority)
    fields = {name: getattr(good, name) for name in good.__struct_fields__}
    return SealStatement(**fields | {"name": job.names[index]} | changes)


def test_a_party_outside_the_roster_seals_for_it():
    job = exchange(at_least=3)
    sealed = job.seal_all([0, 1, 2])
    members = aggregator.open_roster(job.terms, job.consents([0, 1, 2]), job.authority)
    forged = statement_of(job, sealed, 0, name=job.names[3])
    token = job.identities[3].sign(SEAL_TYP, encode(forged))
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_seal(job.terms, members, 1, 1, token, job.authority)
    assert (error.value.code, error.value.party) == ("not_in_roster", job.names[3])


def test_a_member_signs_with_another_key_than_its_consent():
    """A second certificate for the same name, made after the roster was fixed."""
    job = exchange()
    sealed = job.seal_all()
    releases = job.release_all(sealed)
    members = aggregator.open_roster(job.terms, job.consents(), job.authority)
    seal = aggregator.check_seal(job.terms, members, 1, 1, sealed[1].token, job.authority)
    payload = encode(seal)
    opening = read(ReleaseStatement, RELEASE_TYP, releases[1], job.authority)[0]
    twin = job.authority.enrol("b", job.identities[1].party.organisation)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_seal(job.terms, members, 1, 1, twin.sign(SEAL_TYP, payload), job.authority)
    assert (error.value.code, error.value.party) == ("not_in_roster", job.names[1])
    token = twin.sign(RELEASE_TYP, encode(opening))
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_release(job.terms, members, 1, 1, seal, token, job.authority)
    assert error.value.code == "not_in_roster"
    tokens = [sealed[0].token, twin.sign(SEAL_TYP, payload), sealed[2].token, sealed[3].token]
    with pytest.raises(PeerProtocolError) as error:
        release(sealed[0].record, tokens, signer=job.identities[0], verifier=job.authority)
    assert (error.value.code, error.value.party) == ("not_in_roster", job.names[1])


def test_a_round_above_the_limit(done):
    job, roster, _, _ = done
    late = job.seal_all(round=2)
    assert aggregator.check_seal(job.terms, roster, 2, 1, late[0].token, job.authority).round == 2
    short = replace(job.terms, rounds=1)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_seal(short, roster, 2, 1, late[0].token, job.authority)
    assert error.value.code == "wrong_attempt"


def test_a_release_does_not_answer_another_members_commitment():
    """One member copies another's commitment: what is released for it still has one name."""
    job = exchange()
    sealed = job.seal_all()
    roster = aggregator.open_roster(job.terms, job.consents(), job.authority)
    copied = statement_of(job, sealed, 1, release_sha256=sealed[0].record.release_sha256)
    with pytest.raises(PeerProtocolError) as error:
        aggregator.check_release(job.terms, roster, 1, 1, copied, job.release_all(sealed)[0], job.authority)
    assert (error.value.code, error.value.party) == ("release_differs", job.names[0])
