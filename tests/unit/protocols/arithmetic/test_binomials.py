from __future__ import annotations

import gmpy2
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import (
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
    got = times_one_plus_n_power(ring, from_integers(ring, factors), digits)
    assert is_canonical(ring, got)
    expected = [factor * power % order for factor, power in zip(factors, powers, strict=True)]
    assert to_integers(ring, got) == expected


def test_vectors_of_two_lengths_and_wrong_shapes_are_refused(ring_of, numbers_of):
    ring = ring_of(512, 1)
    factors = from_integers(ring, numbers_of(ring, 4))
    for m in (factors[:3, :1], factors):
        with pytest.raises(InvalidInput) as caught:
            times_one_plus_n_power(ring, factors, m)
        assert caught.value.code == "bad_digits"
