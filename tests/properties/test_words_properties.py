"""Arithmetic on word vectors is arithmetic modulo 2^b, for every width."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.masks import expand

from kapok.protocols.masking import expansion
from kapok.protocols.masking.expansion import with_masks
from kapok.protocols.words import WordVector

WIDTHS = st.integers(1, 32).map(lambda octets: 8 * octets)


def words_of(bits: int) -> st.SearchStrategy[int]:
    top, half = (1 << bits) - 1, 1 << (bits - 1)
    edges = [0, 1, half - 1, half, top, *((1 << limb) - 1 for limb in range(32, bits, 32))]
    return st.sampled_from(edges) | st.integers(0, top)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_accumulating_is_modular_arithmetic(data: st.DataObject) -> None:
    bits = data.draw(WIDTHS)
    count = data.draw(st.integers(0, 4))
    column = st.lists(words_of(bits), min_size=count, max_size=count)
    start = data.draw(column)
    plus = data.draw(st.lists(column, max_size=5))
    minus = data.draw(st.lists(column, max_size=5))
    added = [WordVector.from_integers(words, bits, signed=False) for words in plus]
    removed = [WordVector.from_integers(words, bits, signed=False) for words in minus]
    origin = WordVector.from_integers(start, bits, signed=False)
    sums = [
        start[index] + sum(words[index] for words in plus) - sum(words[index] for words in minus)
        for index in range(count)
    ]
    expected = [total % (1 << bits) for total in sums]
    assert origin.accumulate(plus=added, minus=removed).to_integers(signed=False) == expected
    assert origin.add(*added).subtract(*removed).to_integers(signed=False) == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_signed_words_are_the_twos_complement(data: st.DataObject) -> None:
    bits = data.draw(WIDTHS)
    half = 1 << (bits - 1)
    words = st.integers(-half, half - 1) | st.sampled_from([-half, half - 1])
    values = data.draw(st.lists(words, max_size=6))
    vector = WordVector.from_integers(values, bits)
    assert vector.to_integers() == values
    assert vector.to_integers(signed=False) == [value % (2 * half) for value in values]
    assert WordVector.from_bytes(vector.to_bytes(), bits) == vector


KEYS = st.lists(st.binary(min_size=32, max_size=32), max_size=4)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), plus=KEYS, minus=KEYS, block=st.sampled_from([32, 50, 96, 1 << 17]))
def test_masks_are_what_their_definition_says(
    data: st.DataObject, plus: list[bytes], minus: list[bytes], block: int
) -> None:
    """In blocks of any size, for any width whose tag is at most 256 bits wide."""
    bits = 8 * data.draw(st.integers(1, 24))
    start = data.draw(st.lists(words_of(bits), max_size=20))
    tag = data.draw(words_of(bits + 64))
    masks = [
        (sign, expand(key, count=len(start), bits=bits))
        for sign, keys in ((1, plus), (-1, minus))
        for key in keys
    ]
    columns = [mask.words.to_integers(signed=False) for _, mask in masks]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expansion, "_BLOCK_BYTES", block)
        masked, masked_tag = with_masks(
            WordVector.from_integers(start, bits, signed=False),
            tag,
            tag_bits=bits + 64,
            plus=plus,
            minus=minus,
        )
    assert masked.to_integers(signed=False) == [
        (word + sum(sign * column[place] for (sign, _), column in zip(masks, columns, strict=True))) % 2**bits
        for place, word in enumerate(start)
    ]
    assert masked_tag == (tag + sum(sign * mask.tag for sign, mask in masks)) % 2 ** (bits + 64)
