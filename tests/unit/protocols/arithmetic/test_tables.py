from __future__ import annotations

import random

import gmpy2
import numpy as np
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import Comb, FixedBase, from_integers, to_integers


def exponents_of(bits, count):
    source = random.Random(f"{bits} {count}")
    numbers = [0, 1, (1 << bits) - 1, 1 << (bits - 1)] + [source.getrandbits(bits) for _ in range(count)]
    octets = -(-bits // 8)
    body = b"".join(number.to_bytes(octets, "little") for number in numbers)
    return numbers, np.frombuffer(body, dtype=np.uint8).reshape(len(numbers), octets)


@pytest.mark.parametrize(
    ("bits", "rows", "groups"), [(1, 1, 1), (61, 4, 16), (61, 5, 3), (61, 7, 1), (128, 3, 7), (200, 6, 34)]
)
def test_every_layout_gives_the_powers(ring_of, numbers_of, bits, rows, groups):
    ring = ring_of(512, 1)
    order = ring.modulus**2
    base = numbers_of(ring, 9)[-1]
    fixed = FixedBase(ring, from_integers(ring, [base])[0], Comb.of(bits, rows, groups))
    numbers, exponents = exponents_of(bits, 30)
    powers = [pow(base, number, order) for number in numbers]
    assert to_integers(ring, fixed.powers(exponents)) == powers
    factors = numbers_of(ring, len(numbers))
    got = to_integers(ring, fixed.powers_times(exponents, from_integers(ring, factors)))
    assert got == [factor * power % order for factor, power in zip(factors, powers, strict=True)]


@pytest.mark.parametrize(("bits", "degree"), [(512, 0), (1024, 3), (2048, 1), (3072, 1)])
def test_in_every_ring(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    order = ring.modulus**ring.parts
    base = numbers_of(ring, 9)[-1]
    fixed = FixedBase(ring, from_integers(ring, [base])[0], FixedBase.plan(ring, 96, 100, 1 << 20))
    numbers, exponents = exponents_of(96, 5)
    got = to_integers(ring, fixed.powers(exponents))
    assert got == [int(gmpy2.powmod(base, number, order)) for number in numbers]


def test_the_plan_fits_its_memory_and_grows_with_the_batch(ring_of):
    ring = ring_of(2048, 1)
    limit = 200 << 20
    few, many = FixedBase.plan(ring, 1024, 10, limit), FixedBase.plan(ring, 1024, 10**6, limit)
    assert few.entries < many.entries
    assert many.cost < few.cost
    assert limit / 2 < many.table_bytes(ring) <= limit
    for comb in (few, many):
        assert comb.rows * comb.span >= 1024
    # A limit that nothing fits still gives something: one bit at a time.
    assert FixedBase.plan(ring, 1024, 10**6, 0).entries == 2


def test_the_table_takes_what_its_layout_says(ring_of, numbers_of):
    ring = ring_of(512, 1)
    comb = Comb.of(64, 4, 4)
    fixed = FixedBase(ring, from_integers(ring, [3])[0], comb)
    assert fixed.table_bytes == comb.table_bytes(ring) == 4 * 16 * ring.ready_rows * 4
    assert fixed.exponent_bits == 64


def test_bad_exponents_are_refused(ring_of, numbers_of):
    ring = ring_of(512, 1)
    fixed = FixedBase(ring, from_integers(ring, [3])[0], Comb.of(61, 4, 4))
    too_long = np.zeros((2, 8), dtype=np.uint8)
    too_long[1, 7] = 0x20
    for exponents in (
        too_long,
        np.zeros((2, 7), dtype=np.uint8),
        np.zeros(8, dtype=np.uint8),
        np.zeros((2, 8), dtype=np.int8),
    ):
        with pytest.raises(InvalidInput) as caught:
            fixed.powers(exponents)
        assert caught.value.code == "bad_exponent"
    with pytest.raises(InvalidInput) as caught:
        fixed.powers_times(np.zeros((2, 8), dtype=np.uint8), from_integers(ring, [1, 2, 3]))
    assert caught.value.code == "bad_digits"
    with pytest.raises(InvalidInput) as caught:
        FixedBase.plan(ring, 0, 10, 1 << 20)
    assert caught.value.code == "bad_exponent"
