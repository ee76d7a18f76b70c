"""Sums in place against Python integers: every width, carries through every lane, and the bound of a lane."""

import random

import pytest

from kapok.protocols.word_sum import WordSum

WIDTHS = range(1, 33)


def joined(values, octets):
    return b"".join((value % 256**octets).to_bytes(octets, "little") for value in values)


@pytest.mark.parametrize("octets", WIDTHS)
@pytest.mark.parametrize("count", [0, 1, 17])
def test_sums_and_differences_are_modular(octets, count):
    source = random.Random(octets)
    most = 256**octets - 1
    vectors = [[source.choice([0, 1, most, source.randint(0, most)]) for _ in range(count)] for _ in range(7)]
    total = WordSum(joined(vectors[0], octets), octets)
    for vector in vectors[1:4]:
        total.add(joined(vector, octets))
    for vector in vectors[4:]:
        total.subtract(memoryview(joined(vector, octets)))
    signs = (1, 1, 1, 1, -1, -1, -1)
    expected = [
        sum(sign * word for sign, word in zip(signs, column, strict=True))
        for column in zip(*vectors, strict=True)
    ]
    assert total.to_bytes() == joined(expected, octets)


@pytest.mark.parametrize("octets", WIDTHS)
@pytest.mark.parametrize("times", [1, 255, 300])
def test_carries_and_borrows_run_from_the_lowest_byte_to_the_highest(octets, times):
    top, one = b"\xff" * octets, joined([1], octets)
    up, down = WordSum(top, octets), WordSum(bytes(octets), octets)
    for _ in range(times):
        up.add(one)
        down.subtract(one)
    assert up.to_bytes() == joined([times - 1], octets)
    assert down.to_bytes() == joined([-times], octets)
    full = WordSum(top, octets)
    for _ in range(times):
        full.add(top)
    assert full.to_bytes() == joined([-times - 1], octets)


def test_what_is_added_is_left_as_it_is():
    first, second = bytearray(b"\x01" * 9), bytearray(b"\xff" * 9)
    total = WordSum(memoryview(first), 9)
    total.add(memoryview(second))
    assert (first, second) == (b"\x01" * 9, b"\xff" * 9)
    first[0] = 7
    assert total.to_bytes() == bytes(1) + b"\x01" * 8


@pytest.mark.parametrize("octets", [4, 9])
def test_vectors_that_begin_at_an_odd_address(octets):
    shifted = memoryview(b"\x00" + joined([5, 6, 7], octets))[1:]
    total = WordSum(shifted, octets)
    total.add(shifted)
    assert total.to_bytes() == joined([10, 12, 14], octets)


@pytest.mark.parametrize("octets", [3, 9, 32])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_lane_has_room_for_2_to_the_30_vectors(octets, sign):
    """Every lane as if the largest word had been added so often, carries between them and all."""
    top = 256**octets - 1
    total = WordSum(joined([top], octets), octets)
    for lane in total._totals:
        lane *= sign * 2**30
    assert total.to_bytes() == joined([sign * top * 2**30], octets)
