from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import from_integers, is_canonical, multiply, to_integers
from kapok.protocols.arithmetic.chunks import Lane
from kapok.protocols.arithmetic.digits import LimbReader, LimbWriter

WIDTHS = [512, 521, 528, 544, 1024, 1537]


@pytest.mark.parametrize("bits", WIDTHS)
def test_limbs_are_the_number_s(ring_of, bits):
    ring = ring_of(bits, 1)
    constants = ring.constants
    reader = LimbReader(ring, 8)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.binary(min_size=2 * ring.width, max_size=2 * ring.width), min_size=1, max_size=8))
    def check(bodies):
        digits = np.frombuffer(b"".join(bodies), dtype=np.uint8).reshape(-1, 2, ring.width)
        limbs = reader.read(digits)
        assert np.abs(limbs[:, :-1]).max() <= 2**23
        assert np.all(limbs[:, -1] == 1)
        for place, element in enumerate(digits):
            for part, digit in enumerate(element):
                number = sum(
                    (int(limbs[part, row, place]) + 2**23) << (24 * limb)
                    for limb, row in enumerate(constants.limb_rows[: constants.limbs])
                )
                assert number == int.from_bytes(digit.tobytes(), "little")

    check()


@pytest.mark.parametrize("bits", WIDTHS)
def test_what_is_read_is_written_again(ring_of, bits):
    ring = ring_of(bits, 1)
    one = from_integers(ring, [1])[0]

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(0, ring.modulus**2 - 1), min_size=1, max_size=40))
    def check(numbers):
        got = multiply(ring, from_integers(ring, numbers), one)
        assert to_integers(ring, got) == numbers
        assert is_canonical(ring, got)

    check()


@pytest.mark.parametrize("bits", [512, 1024, 1537])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_digits_next_to_a_multiple_of_n_are_canonical_whatever_the_quotient_says(ring_of, bits, off):
    """Limbs of a number less ⌊quotient⌋·N, for a quotient that is wrong by as much as it may be."""
    ring = ring_of(bits, 1)
    constants = ring.constants
    values = [0, 1, 2, ring.modulus - 2, ring.modulus - 1]
    writer = LimbWriter(ring, len(values))
    highest = len(constants.limb_rows) - 1
    for place, value in enumerate(values):
        near = value + off * ring.modulus
        for limb, row in enumerate(constants.limb_rows):
            shifted = near >> (24 * limb)
            writer.limbs[0, row, place] = shifted if limb == highest else shifted & (2**24 - 1)
        writer.quotients[0, 0, place] = 7.0 + (1e-13 if value < 3 else -1e-13)
    writer.limbs[1, 0] = 5
    writer.quotients[1] = 0.5
    digits = np.zeros((len(values), 2, ring.width), dtype=np.uint8)
    writer.write(digits)
    assert is_canonical(ring, digits)
    for element, value in zip(digits, values, strict=True):
        low, high = (int.from_bytes(digit.tobytes(), "little") for digit in element)
        assert low == value
        assert high == 5 + (7 if value < 3 else 6) + off


def test_digits_that_are_not_canonical_are_read_as_the_numbers_they_are(ring_of):
    ring = ring_of(1025, 1)
    largest = np.full((3, 2, ring.width), 255, dtype=np.uint8)
    lane = Lane(ring, 8, 1)
    lane.kernel.read(lane.read(largest), lane.x)
    lane.kernel.multiply(lane.x, lane.constant(ring.montgomery(1)), lane.x)
    lane.write(lane.x, slice(0, 8))
    out = np.zeros_like(largest)
    lane.flush(out)
    number = (2 ** (8 * ring.width) - 1) * (1 + ring.modulus)
    assert to_integers(ring, out) == [number % ring.modulus**2] * 3


@pytest.mark.parametrize("bits", [1024, 1025])
def test_canonical_is_below_n_in_every_digit(ring_of, bits):
    ring = ring_of(bits, 1)
    n, width = ring.modulus, ring.width

    def digits(*numbers):
        body = b"".join(number.to_bytes(width, "little") for number in numbers)
        return np.frombuffer(body, dtype=np.uint8).reshape(-1, 2, width)

    assert is_canonical(ring, digits(0, n - 1, n - 1, 0))
    for number in (n, n + 1, 2 ** (8 * width) - 1, n + (1 << (8 * width - 8) if bits == 1025 else 1)):
        assert not is_canonical(ring, digits(0, 0, 0, number))
        assert not is_canonical(ring, digits(number, 0, 0, 0))
    assert not is_canonical(ring, digits(0, 0)[:, :, 1:])
    assert not is_canonical(ring, digits(0, 0).astype(np.uint16))


def test_numbers_beyond_the_ring_have_no_digits(ring_of):
    ring = ring_of(512, 1)
    for number in (ring.modulus**2, -1):
        with pytest.raises(InvalidInput) as caught:
            from_integers(ring, [number])
        assert caught.value.code == "bad_digits"
