"""The kernel: what each key is bound to, and that masks cancel in the whole roster and in nothing less."""

import itertools
from dataclasses import replace

import pytest
from support.collusion import masked_words, own_mask
from support.parties import exchange

from kapok.protocols.paillier.pool import ObfuscatorPool
from kapok.protocols.paillier.vector import CiphertextVector
from kapok.protocols.secure_sum import sealing, vector
from kapok.protocols.secure_sum.roster import read_roster
from kapok.protocols.words import WordVector


@pytest.fixture(scope="module")
def sealed():
    job = exchange()
    return job, read_roster(job.terms, job.consents(), job.authority), job.seal_all()


def test_pair_info_binds_everything_that_two_members_agree_on(sealed):
    _, roster, vectors = sealed
    context, seed = vectors[0].record.context, b"c" * 32
    first, second = roster.members[:2]
    infos = [
        sealing.pair_info(context, seed, first, second),
        sealing.pair_info(context, seed, second, first),
        sealing.pair_info(context, b"d" * 32, first, second),
        sealing.pair_info(context, seed, replace(first, name="x"), second),
        sealing.pair_info(context, seed, first, replace(second, name="x")),
        sealing.pair_info(context, seed, replace(first, mask_key=bytes(32)), second),
        sealing.pair_info(context, seed, first, replace(second, mask_key=bytes(32))),
        *(
            sealing.pair_info(replace(context, **{name: b"x" * 32}), seed, first, second)
            for name in ("job_id", "roster_hash", "params_hash")
        ),
        *(
            sealing.pair_info(replace(context, **{name: 9}), seed, first, second)
            for name in ("round", "attempt")
        ),
    ]
    assert len(set(infos)) == len(infos)


def test_release_info_binds_context_and_name(sealed):
    _, _, vectors = sealed
    context = vectors[0].record.context
    infos = {
        sealing.release_info(context, "a"),
        sealing.release_info(context, "b"),
        sealing.release_info(replace(context, attempt=9), "a"),
    }
    assert len(infos) == 3


def test_masks_cancel_in_the_whole_roster_and_in_nothing_less(sealed):
    job, _, vectors = sealed
    for size in (1, 2, 3, 4):
        for chosen in itertools.combinations(range(4), size):
            rest = WordVector.zeros(3, 64)
            for index in chosen:
                words, _ = masked_words(job, vectors[index])
                rest = rest.add(words).subtract(own_mask(job, vectors[index]).words)
            assert (rest.to_integers() == job.truth(chosen)) is (size == 4)


def test_every_holder_has_a_mask_of_its_own(sealed):
    job, _, vectors = sealed
    assert len({own_mask(job, one).words.to_bytes() for one in vectors}) == 4


@pytest.mark.parametrize("ahead", [1, 5])
@pytest.mark.parametrize("words", [1, 30, 31, 32, 123, 124, 125, 155, 248])
def test_what_is_encrypted_in_parts_is_one_vector(monkeypatch, paillier_key_2048, words, ahead):
    """Two ciphertexts to a chunk, two chunks to a part: words and tag end before, at and after the seams."""
    monkeypatch.setattr(vector, "MOST_CHUNK_BYTES", 2 * 512)
    monkeypatch.setattr(sealing, "_CHUNKS_AT_ONCE", 2)
    job = exchange([range(words)] * 3, result_key=paillier_key_2048)
    contribution = WordVector.from_integers(range(-words, 0), 64)
    assert vector.layout(job.terms, 3).words_per_plaintext == 31
    pool = ObfuscatorPool(paillier_key_2048.public, 1, ahead)
    pool.fill(ahead)
    chunks = list(sealing.chunks(job.terms, 3, contribution, 2**128 - words, pool))
    assert tuple(map(len, chunks)) == vector.chunk_lengths(job.terms, 3)
    key = paillier_key_2048
    opened = key.decrypt(CiphertextVector.from_body(key.public, b"".join(chunks)))
    assert vector.layout(job.terms, 3).unpack(opened) == (contribution, 2**128 - words)


@pytest.mark.parametrize("words", [1, 2, 16, 17, 18, 32, 33, 34])
def test_padded_chunks_are_words_and_tag_as_they_are(monkeypatch, words):
    monkeypatch.setattr(vector, "MOST_CHUNK_BYTES", 8 * 16)
    terms = exchange([range(words)] * 3).terms
    contribution = WordVector.from_integers(range(words), 64)
    chunks = list(sealing.chunks(terms, 3, contribution, 5, None))
    assert tuple(map(len, chunks)) == vector.chunk_lengths(terms, 3)
    assert b"".join(chunks) == contribution.to_bytes() + (5).to_bytes(16, "little")
