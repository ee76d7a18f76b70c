from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapok.protocols.radix import digits_in, read_numbers, write_numbers


@given(st.integers(2, 2**70), st.integers(1, 5), st.data())
def test_numbers_are_their_digits(modulus, parts, data):
    width = -(-modulus.bit_length() // 8)
    numbers = data.draw(st.lists(st.integers(0, modulus**parts - 1), max_size=6))
    body = write_numbers(numbers, modulus, parts, width)
    digits = digits_in(body, width)
    assert len(body) == len(numbers) * parts * width
    assert all(digit < modulus for digit in digits)
    assert numbers == [
        sum(digit * modulus**place for place, digit in enumerate(digits[start : start + parts]))
        for start in range(0, len(digits), parts)
    ]
    assert read_numbers(body, modulus, parts, width) == numbers


@pytest.mark.parametrize("number", [-1, 1000, 10**30])
def test_numbers_out_of_range_have_no_digits(number):
    assert write_numbers([999], 10, 3, 1) == bytes([9, 9, 9])
    with pytest.raises(OverflowError):
        write_numbers([1, number], 10, 3, 1)


def test_digits_that_are_not_below_n_count_for_what_they_are():
    assert read_numbers(bytes([255, 1, 3, 0]), 10, 2, 1) == [265, 3]
