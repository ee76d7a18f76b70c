"""Word vectors against Python integers, over the edges of every width."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.words import WordVector

WIDTHS = range(8, 257, 8)


@pytest.mark.parametrize("bits", WIDTHS)
def test_signed_edges_round_trip(bits: int) -> None:
    half = 1 << (bits - 1)
    values = [-half, -half + 1, -1, 0, 1, half - 2, half - 1]
    vector = WordVector.from_integers(values, bits)
    assert vector.to_integers() == values
    assert vector.to_integers(signed=False) == [value % (2 * half) for value in values]
    assert len(vector.to_bytes()) == len(values) * bits // 8
    assert WordVector.from_bytes(vector.to_bytes(), bits) == vector


@pytest.mark.parametrize("bits", WIDTHS)
def test_unsigned_edges_round_trip(bits: int) -> None:
    values = [0, 1, (1 << bits) - 1]
    vector = WordVector.from_integers(values, bits, signed=False)
    assert vector.to_integers(signed=False) == values
    assert vector.to_integers() == [0, 1, -1]


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_value_out_of_range_is_refused(bits: int) -> None:
    half = 1 << (bits - 1)
    for value in (half, -half - 1):
        with pytest.raises(InvalidInput) as refused:
            WordVector.from_integers([0, value], bits)
        assert refused.value.code == "word_overflow"
        assert str(value) not in refused.value.diagnostics()
    for value in (-1, 1 << bits):
        with pytest.raises(InvalidInput) as refused:
            WordVector.from_integers([value], bits, signed=False)
        assert refused.value.code == "word_overflow"


@pytest.mark.parametrize("bits", WIDTHS)
def test_int64_equals_integers(bits: int) -> None:
    half = 1 << (min(bits, 64) - 1)
    values = [-half, -half + 1, -1, 0, 1, half - 1]
    assert WordVector.from_int64(np.array(values), bits) == WordVector.from_integers(values, bits)


@pytest.mark.parametrize("bits", [8, 16, 24, 32, 40, 48, 56])
def test_int64_out_of_range_is_refused(bits: int) -> None:
    for value in (1 << (bits - 1), -(1 << (bits - 1)) - 1):
        with pytest.raises(InvalidInput) as refused:
            WordVector.from_int64(np.array([0, value]), bits)
        assert refused.value.code == "word_overflow"


@pytest.mark.parametrize("bits", range(8, 65, 8))
def test_words_are_read_as_int64(bits: int) -> None:
    half = 1 << (bits - 1)
    values = [-half, -half + 1, -1, 0, 1, half - 1]
    read = WordVector.from_integers(values, bits).to_int64()
    assert (read.dtype, read.tolist()) == (np.int64, values)
    assert WordVector.zeros(0, bits).to_int64().shape == (0,)


@pytest.mark.parametrize("bits", [72, 256])
def test_wide_words_are_not_read_as_int64(bits: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        WordVector.zeros(1, bits).to_int64()
    assert refused.value.code == "word_overflow"


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_blocks_are_whole_words_and_make_up_the_vector(count: int, sizes: list[int]) -> None:
    vector = WordVector.from_integers(range(count), 24)
    blocks = list(vector.blocks(4))
    assert [len(block) // 3 for block in blocks] == sizes
    assert b"".join(blocks) == vector.to_bytes()


def test_int64_reads_strided_arrays() -> None:
    values = np.arange(-6, 6)[::-2]
    assert WordVector.from_int64(values, 40).to_integers() == values.tolist()


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.int64), np.zeros(2, np.float64), np.zeros(2, np.uint64)]
)
def test_int64_refuses_other_arrays(array: np.ndarray) -> None:
    with pytest.raises(InvalidInput) as refused:
        WordVector.from_int64(array, 64)
    assert refused.value.code == "bad_words"


@pytest.mark.parametrize("bits", WIDTHS)
def test_carries_and_borrows_run_through_every_limb(bits: int) -> None:
    top = WordVector.from_integers([(1 << bits) - 1], bits, signed=False)
    one = WordVector.from_integers([1], bits)
    zero = WordVector.zeros(1, bits)
    assert top.add(one) == zero
    assert zero.subtract(one) == top
    assert zero.subtract(top) == one
    assert top.add(*[top] * 299).to_integers() == [-300 if bits > 9 else (-300 + 128) % 256 - 128]


def test_accumulate_reads_generators_and_keeps_its_arguments() -> None:
    start = WordVector.from_integers([5, -5], 72)
    step = WordVector.from_integers([2**70, -1], 72)
    total = start.accumulate(plus=(step for _ in range(3)), minus=(step for _ in range(5)))
    assert total.to_integers() == [5 - 2**71, -3]
    assert start.to_integers() == [5, -5]
    assert step.to_integers() == [2**70, -1]


def test_empty_vectors_are_vectors() -> None:
    empty = WordVector.from_integers([], 72)
    assert len(empty) == 0
    assert empty == WordVector.zeros(0, 72) == WordVector.from_int64(np.array([], dtype=np.int64), 72)
    assert empty.add(empty).to_integers() == []


def test_differing_vectors_are_not_combined() -> None:
    vector = WordVector.zeros(3, 16)
    for other in (WordVector.zeros(2, 16), WordVector.zeros(3, 24)):
        for combine in (vector.add, vector.subtract):
            with pytest.raises(InvalidInput) as refused:
                combine(other)
            assert refused.value.code == "bad_words"


@pytest.mark.parametrize("bits", [-8, 0, 7, 12, 264])
def test_bad_widths_are_refused(bits: int) -> None:
    makers = (
        lambda: WordVector(bits, 0, b""),
        lambda: WordVector.zeros(1, bits),
        lambda: WordVector.from_bytes(bytes(16), bits),
        lambda: WordVector.from_integers([1], bits),
        lambda: WordVector.from_int64(np.zeros(1, dtype=np.int64), bits),
    )
    for make in makers:
        with pytest.raises(InvalidInput) as refused:
            make()
        assert refused.value.code == "bad_words"


def test_lengths_that_do_not_fit_are_refused() -> None:
    for make in (
        lambda: WordVector(16, 2, bytes(5)),
        lambda: WordVector(16, -1, b""),
        lambda: WordVector.zeros(-1, 16),
        lambda: WordVector.from_bytes(bytes(5), 16),
        lambda: WordVector.from_integers([1.0], 16),  # type: ignore[list-item]
    ):
        with pytest.raises(InvalidInput) as refused:
            make()
        assert refused.value.code == "bad_words"


def test_words_are_neither_printed_nor_pickled() -> None:
    vector = WordVector.from_integers([1234567], 32)
    assert repr(vector) == "WordVector(bits=32, count=1)"
    assert str(vector) == repr(vector)
    with pytest.raises(TypeError):
        pickle.dumps(vector)
