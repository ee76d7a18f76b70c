"""The kernel: what each key is bound to, and that masks cancel in the whole roster and in nothing less."""

import itertools
from dataclasses import replace

import pytest
from support.collusion import masked_words, own_mask
from support.parties import exchange

from kapok.protocols.secure_sum import sealing
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
