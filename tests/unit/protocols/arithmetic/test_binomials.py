from __future__ import annotations

import gmpy2
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import (
    Factors,
    from_integers,
    is_canonical,
    one_plus_n_power,
    times_one_plus_n_power,
    to_integers,
)

RINGS = [(512, 1), (512, 2), (512, 3), (512, 4), (1024, 2), (2048, 1), (3072, 1)]


@pytest.mark.parametrize(("bits", "degree"), RINGS)
def test_powers_of_one_plus_n(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    order, plain = ring.modulus**ring.parts, ring.modulus**degree
    numbers = [0, 1, 2, 3, 4, 5, plain - 1, ring.modulus - 1, *numbers_of(ring, 20)]
    numbers = [number % plain for number in numbers]
    digits = from_integers(ring, numbers)[:, :degree]
    powers = [int(gmpy2.powmod(1 + ring.modulus, number, order)) for number in numbers]
    got = one_plus_n_power(ring, digits)
    assert is_canonical(ring, got)
    assert to_integers(ring, got) == powers
    factors = numbers_of(ring, len(numbers), "factors")
    got = times_one_plus_n_power(ring, Factors.of(ring, from_integers(ring, factors)), digits)
    assert is_canonical(ring, got)
    expected = [factor * power % order for factor, power in zip(factors, powers, strict=True)]
    assert to_integers(ring, got) == expected


def test_vectors_of_two_lengths_and_wrong_shapes_are_refused(ring_of, numbers_of):
    ring = ring_of(512, 1)
    digits = from_integers(ring, numbers_of(ring, 4))
    factors = Factors.of(ring, digits)
    for m in (digits[:3, :1], digits):
        with pytest.raises(InvalidInput) as caught:
            times_one_plus_n_power(ring, factors, m)
        assert caught.value.code == "bad_digits"


@pytest.mark.parametrize(("bits", "degree"), [(512, 1), (512, 2)])
def test_factors_that_were_moved_are_the_same(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    numbers = numbers_of(ring, 6)
    held = Factors.zeros(ring, 8)
    held.put(1, Factors.of(ring, from_integers(ring, numbers)))
    taken = held.take(slice(2, 6))
    assert (len(held), len(taken), len(taken[1:3])) == (8, 4, 2)
    assert not held[2:6].digits.any()
    assert not held[2:6].rows.any()
    m = from_integers(ring, [5, 0])[:, :degree]
    got = to_integers(ring, times_one_plus_n_power(ring, taken[1:3], m))
    order = ring.modulus**ring.parts
    assert repr(taken) == "Factors()"
    assert got == [numbers[2] * pow(1 + ring.modulus, 5, order) % order, numbers[3]]
