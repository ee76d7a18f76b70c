from __future__ import annotations

import math
import random

import numpy as np
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import (
    Product,
    from_integers,
    is_canonical,
    multiply,
    product,
    product_of_all,
    to_integers,
)

RINGS = [(512, 0), (512, 1), (1024, 1), (1024, 3), (1029, 2), (2048, 1), (2047, 4), (3072, 1), (4096, 1)]
COUNTS = [1, 7, 33, 257]


@pytest.mark.parametrize(("bits", "degree"), RINGS)
def test_products_are_those_of_integers(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    order = ring.modulus**ring.parts
    a, b = numbers_of(ring, 70, "a"), numbers_of(ring, 70, "b")
    a, b = [*a, *numbers_of(ring, 8)], [*b, *reversed(numbers_of(ring, 8))]
    got = multiply(ring, from_integers(ring, a), from_integers(ring, b))
    assert is_canonical(ring, got)
    assert to_integers(ring, got) == [x * y % order for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("count", COUNTS)
def test_every_length_of_a_batch(ring_of, numbers_of, count):
    ring = ring_of(1024, 1)
    order = ring.modulus**2
    a, b = numbers_of(ring, count, "a"), numbers_of(ring, count, "b")
    got = multiply(ring, from_integers(ring, a), from_integers(ring, b))
    assert to_integers(ring, got) == [x * y % order for x, y in zip(a, b, strict=True)]


def test_batches_longer_than_a_chunk(ring_of, numbers_of):
    ring = ring_of(512, 1)
    order = ring.modulus**2
    a = numbers_of(ring, 9 * ring.columns + 5, "a")
    digits = from_integers(ring, a)
    assert to_integers(ring, multiply(ring, digits, digits)) == [x * x % order for x in a]


@pytest.mark.parametrize("number", [0, 1, 2, -1])
def test_one_element_for_all(ring_of, numbers_of, number):
    ring = ring_of(1024, 2)
    order = ring.modulus**3
    a = numbers_of(ring, 40)
    got = multiply(ring, from_integers(ring, a), from_integers(ring, [number % order])[0])
    assert to_integers(ring, got) == [x * number % order for x in a]


def test_product_of_many_vectors(ring_of, numbers_of):
    ring = ring_of(2048, 1)
    order = ring.modulus**2
    vectors = [numbers_of(ring, 20, str(party)) for party in range(11)]
    got = product(ring, [from_integers(ring, vector) for vector in vectors])
    assert to_integers(ring, got) == [math.prod(column) % order for column in zip(*vectors, strict=True)]
    assert to_integers(ring, product(ring, [from_integers(ring, vectors[0])])) == vectors[0]


def test_running_product_of_blocks_in_any_order(ring_of, numbers_of):
    ring = ring_of(1024, 1)
    order = ring.modulus**2
    running = Product(ring, 300)
    expected = [1] * 300
    source = random.Random(5)
    for turn in range(12):
        start = source.randrange(280)
        block = numbers_of(ring, source.randrange(1, 301 - start), str(turn))[8:]
        running.multiply(from_integers(ring, block), start)
        for place, number in enumerate(block):
            expected[start + place] = expected[start + place] * number % order
    assert to_integers(ring, running.digits()) == expected


def test_a_block_beyond_the_vector_is_refused(ring_of, numbers_of):
    ring = ring_of(512, 1)
    block = from_integers(ring, numbers_of(ring, 3))
    for start in (-1, 8):
        with pytest.raises(InvalidInput) as caught:
            Product(ring, 10).multiply(block, start)
        assert caught.value.code == "bad_digits"


@pytest.mark.parametrize("count", [1, 8, 9, 100, 1000, 1449])
def test_product_of_all_elements_modulo_n(ring_of, numbers_of, count):
    """Of a part of a block, and of several blocks with a part of one after them."""
    ring = ring_of(512, 1)
    assert 2 * ring.modulo_n.columns < 1000 < 1449 != 3 * ring.modulo_n.columns
    numbers = numbers_of(ring, count + 8)[8:]
    got = product_of_all(ring, from_integers(ring, numbers))
    assert got == math.prod(numbers) % ring.modulus


@pytest.mark.parametrize(
    "wrong",
    [
        lambda digits: digits.astype(np.int64),
        lambda digits: digits[:, :1],
        lambda digits: digits[:, :, 1:],
        lambda digits: digits[0, 0],
        lambda digits: np.full_like(digits, 255),
        lambda digits: digits[:-1],
    ],
)
def test_what_is_no_batch_of_the_ring_is_refused(ring_of, numbers_of, wrong):
    ring = ring_of(1024, 1)
    digits = from_integers(ring, numbers_of(ring, 10))
    with pytest.raises(InvalidInput) as caught:
        multiply(ring, digits, wrong(digits))
    assert caught.value.code == "bad_digits"
