"""The tag against plain integers, and what its coefficients depend on."""

import random
from dataclasses import replace

import pytest
from support.masks import integers, stream

from kapok.errors import LocalProtocolError
from kapok.protocols.masking.pairwise import derive
from kapok.protocols.secure_sum import tag
from kapok.protocols.secure_sum.context import Context
from kapok.protocols.secure_sum.framing import framed
from kapok.protocols.secure_sum.params import MOST_WORDS
from kapok.protocols.words import WordVector

CONTEXT = Context(job_id=b"j" * 32, round=2, attempt=3, roster_hash=b"r" * 32, params_hash=b"p" * 32)
SEED = bytes(range(32))


def plain_tag(values, bits):
    """The definition, one Python integer at a time."""
    info = framed(b"kapok-sum-1/tag-coefficients", b"j" * 32, 2, 3, b"r" * 32)
    width = bits // 8 + 8
    coefficients = integers(stream(derive(SEED, info), width * len(values)), width)
    return sum(a * x for a, x in zip(coefficients, values, strict=True)) % 2 ** (bits + 64)


@pytest.mark.parametrize("count", [0, 1, 300])
@pytest.mark.parametrize("bits", range(8, 193, 8))
def test_against_plain_integers(bits, count):
    source = random.Random(bits)
    edges = [-1, 0, 1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))]
    values = [*edges, *(source.randrange(-(2 ** (bits - 1)), 2 ** (bits - 1)) for _ in range(300))][:count]
    assert tag.tag_of(WordVector.from_integers(values, bits), SEED, CONTEXT) == plain_tag(values, bits)


@pytest.mark.parametrize("extreme", [2**63 - 1, -(2**63), -1])
def test_blocks_of_extreme_words_stay_exact(monkeypatch, extreme):
    values = [extreme] * 1000
    expected = plain_tag(values, 64)
    for block in (1, 7, 999, 1000, 1 << 16):
        monkeypatch.setattr(tag, "_BLOCK_WORDS", block)
        assert tag.tag_of(WordVector.from_integers(values, 64), SEED, CONTEXT) == expected


def test_the_largest_block_of_the_largest_limbs_is_exact_in_float64():
    assert tag._BLOCK_WORDS * (2**16 - 1) ** 2 < 2**53
    assert MOST_WORDS * (2**16 - 1) ** 2 < 2**63
    size = tag._BLOCK_WORDS
    largest = tag._products(b"\xff" * 4 * size, 4, b"\xff\xff\xff\x7f" * size, 4)
    low = size * (2**16 - 1)
    assert largest.tolist() == [[low * (2**16 - 1)] * 2, [low * (2**15 - 1)] * 2]
    assert tag._products(b"\xff" * 2 * size, 2, b"\xff\xff" * size, 2).tolist() == [[-low]]


def test_tags_add_up_to_the_tag_of_the_sum():
    one, two = [5, -7, 2**40], [-9, 7, -(2**39)]
    vectors = [WordVector.from_integers(values, 64) for values in (one, two)]
    both = sum(tag.tag_of(vector, SEED, CONTEXT) for vector in vectors) % 2**128
    assert both == tag.tag_of(vectors[0].add(vectors[1]), SEED, CONTEXT)


@pytest.mark.parametrize(
    "changes",
    [{"job_id": b"k" * 32}, {"round": 1}, {"attempt": 1}, {"roster_hash": b"s" * 32}],
)
def test_coefficients_belong_to_one_attempt(changes):
    words = WordVector.from_integers([1, 2, 3], 64)
    assert tag.tag_of(words, SEED, CONTEXT) != tag.tag_of(words, SEED, replace(CONTEXT, **changes))
    assert tag.tag_of(words, SEED, CONTEXT) != tag.tag_of(words, b"\xff" * 32, CONTEXT)


def test_commitment_depends_on_seed_and_attempt():
    assert tag.commitment(SEED, CONTEXT) == tag.commitment(SEED, CONTEXT)
    assert tag.commitment(SEED, CONTEXT) != tag.commitment(bytes(32), CONTEXT)
    assert tag.commitment(SEED, CONTEXT) != tag.commitment(SEED, replace(CONTEXT, attempt=4))


def test_seed_of_another_length_is_refused():
    words = WordVector.from_integers([1], 64)
    for action in (lambda: tag.tag_of(words, b"", CONTEXT), lambda: tag.commitment(bytes(31), CONTEXT)):
        with pytest.raises(LocalProtocolError):
            action()


def test_seed_info_is_each_members_own():
    infos = {
        tag.tag_seed_info(dataset, nonce, name)
        for dataset in (b"d" * 32, b"e" * 32)
        for nonce in (b"n" * 32, b"o" * 32)
        for name in ("a", "b")
    }
    assert len(infos) == 8
