"""The generator G against its definition: AES-256-CTR from zero, words little-endian, the tag word last."""

import itertools

import pytest
from support.masks import expand, stream

from kapok.protocols.masking import expansion
from kapok.protocols.masking.expansion import keystream, with_masks
from kapok.protocols.words import WordVector

KEY = bytes(range(32))
OTHERS = [bytes([number]) * 32 for number in range(1, 4)]
PIECES = [[], [500], [1, 499], [16] * 31 + [4], [100] * 5, [0, 7, 0, 493]]


@pytest.mark.parametrize("lengths", PIECES, ids=str)
def test_pieces_make_the_same_stream(lengths):
    pieces = list(keystream(KEY, lengths))
    assert list(map(len, pieces)) == lengths
    assert b"".join(pieces) == stream(KEY, sum(lengths))


def test_a_piece_longer_than_a_block():
    assert b"".join(keystream(KEY, [200_000, 3])) == stream(KEY, 200_003)


@pytest.mark.parametrize("count", [0, 1, 11])
@pytest.mark.parametrize("bits", range(8, 193, 8))
def test_words_and_tag_are_read_from_one_stream(bits, count):
    words, tag = with_masks(WordVector.zeros(count, bits), 0, tag_bits=bits + 64, plus=[KEY])
    mask = expand(KEY, count=count, bits=bits)
    assert (words, tag) == (mask.words, mask.tag)


@pytest.mark.parametrize("bits", [8, 24, 32, 72, 192])
@pytest.mark.parametrize("words_more", [-1, 0, 1])
@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_join_without_a_seam(monkeypatch, bits, words_more, blocks):
    """One word less than the blocks hold, exactly as many, one word more."""
    monkeypatch.setattr(expansion, "_BLOCK_BYTES", 96)
    count = blocks * (96 * 8 // bits) + words_more
    words, tag = with_masks(WordVector.zeros(count, bits), 0, tag_bits=bits + 64, minus=[KEY])
    mask = expand(KEY, count=count, bits=bits)
    assert words == WordVector.zeros(count, bits).subtract(mask.words)
    assert tag == -mask.tag % 2 ** (bits + 64)


def test_a_vector_longer_than_the_real_block():
    count = 2 * expansion._BLOCK_BYTES // 4 + 1
    words, tag = with_masks(WordVector.zeros(count, 32), 0, tag_bits=96, plus=[KEY])
    mask = expand(KEY, count=count, bits=32)
    assert (words, tag) == (mask.words, mask.tag)


@pytest.mark.parametrize("bits", [8, 32, 72, 192])
def test_masks_of_many_keys_are_added_and_taken_away(bits):
    start = WordVector.from_integers([0, -1, 1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))], bits)
    words, tag = with_masks(start, 7, tag_bits=bits + 64, plus=[KEY, OTHERS[0]], minus=OTHERS[1:])
    masks = [expand(key, count=5, bits=bits) for key in (KEY, *OTHERS)]
    expected = [
        (value + one + two - three - four) % 2**bits
        for value, one, two, three, four in zip(
            start.to_integers(), *(mask.words.to_integers() for mask in masks), strict=True
        )
    ]
    assert words.to_integers(signed=False) == expected
    one, two, three, four = (mask.tag for mask in masks)
    assert tag == (7 + one + two - three - four) % 2 ** (bits + 64)


def test_masks_cancel_whatever_their_order():
    start = WordVector.from_integers([5, -5, 2**39 - 1], 40)
    for keys in itertools.permutations((KEY, *OTHERS)):
        masked = with_masks(start, 9, tag_bits=104, plus=keys[:2], minus=keys[2:])
        assert masked[0] != start
        assert with_masks(*masked, tag_bits=104, plus=keys[2:], minus=keys[:2]) == (start, 9)


def test_without_keys_nothing_changes():
    start = WordVector.from_integers([1, 2, 3], 24)
    assert with_masks(start, 11, tag_bits=88) == (start, 11)
