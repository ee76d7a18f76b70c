from __future__ import annotations

import random

import gmpy2
import numpy as np
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import Ring, from_integers, power, power_each, to_integers


def little_endian(numbers, octets):
    body = b"".join(number.to_bytes(octets, "little") for number in numbers)
    return np.frombuffer(body, dtype=np.uint8).reshape(len(numbers), octets)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 31, 32, 2**64 - 1, 2**127 + 1])
def test_one_exponent_for_all(ring_of, numbers_of, exponent):
    ring = ring_of(1024, 1)
    order = ring.modulus**2
    numbers = numbers_of(ring, 20)
    got = power(ring, from_integers(ring, numbers), exponent)
    assert to_integers(ring, got) == [pow(number, exponent, order) for number in numbers]


@pytest.mark.parametrize(("bits", "degree"), [(512, 0), (512, 3), (2048, 1), (3072, 2)])
def test_in_every_ring(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    order = ring.modulus**ring.parts
    numbers = numbers_of(ring, 9)
    exponent = random.Random(bits).getrandbits(90)
    got = power(ring, from_integers(ring, numbers), exponent)
    assert to_integers(ring, got) == [int(gmpy2.powmod(number, exponent, order)) for number in numbers]


def test_modulo_the_square_of_a_prime_as_a_key_holder_has_it(numbers_of):
    prime = int(gmpy2.next_prime(1 << 1023))
    ring = Ring(prime, 1)
    units = [number for number in numbers_of(ring, 20) if number % prime]
    got = to_integers(ring, power(ring, from_integers(ring, units), prime - 1))
    assert got == [int(gmpy2.powmod(number, prime - 1, prime**2)) for number in units]
    assert all(number % prime == 1 for number in got)


@pytest.mark.parametrize("count", [1, 8, 40])
def test_an_exponent_for_each(ring_of, numbers_of, count):
    ring = ring_of(1024, 1)
    order = ring.modulus**2
    source = random.Random(count)
    exponents = [0, 1, 2**56 - 1, *(source.getrandbits(source.randrange(57)) for _ in range(40))][:count]
    numbers = numbers_of(ring, count)
    got = power_each(ring, from_integers(ring, numbers), little_endian(exponents, 7))
    expected = [pow(number, e, order) for number, e in zip(numbers, exponents, strict=True)]
    assert to_integers(ring, got) == expected


def test_exponents_of_zero_only(ring_of, numbers_of):
    ring = ring_of(512, 2)
    got = power_each(ring, from_integers(ring, numbers_of(ring, 5)), np.zeros((5, 3), dtype=np.uint8))
    assert to_integers(ring, got) == [1] * 5


def test_bad_exponents_are_refused(ring_of, numbers_of):
    ring = ring_of(512, 1)
    digits = from_integers(ring, numbers_of(ring, 5))
    for exponents in (
        np.zeros((4, 3), dtype=np.uint8),
        np.zeros((5, 0), dtype=np.uint8),
        np.zeros(5, dtype=np.uint8),
        np.zeros((5, 3), dtype=np.int64),
    ):
        with pytest.raises(InvalidInput) as caught:
            power_each(ring, digits, exponents)
        assert caught.value.code == "bad_exponent"
