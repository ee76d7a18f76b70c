from __future__ import annotations

import random

import gmpy2
import numpy as np
import pytest

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import Ring, from_integers, to_integers
from kapok.protocols.arithmetic.chunks import Lane

SIZES = [(512, 0), (1024, 1), (1536, 2), (2048, 1), (2048, 4), (3072, 1), (4096, 1), (4096, 3)]


def written(lane, count):
    lane.kernel.multiply(lane.x, lane.constant(lane.ring.montgomery(0)), lane.x)
    lane.write(lane.x, slice(0, lane.columns))
    out = np.zeros((count, lane.ring.parts, lane.ring.width), dtype=np.uint8)
    lane.flush(out)
    return to_integers(lane.ring, out)


def chain(ring, numbers, steps, seed):
    """A random chain of products, squares and ready operands, in residues and in integers."""
    order, radix = ring.modulus**ring.parts, ring.constants.bases.product_a
    inverse = pow(radix, -1, order)
    lane = Lane(ring, 8, 1)
    kernel = lane.kernel
    kernel.read(lane.read(from_integers(ring, numbers)), lane.x)
    values = [gmpy2.mpz(number) for number in numbers]
    fixed = ring.prepared(order - 2)
    source = random.Random(seed)
    for _ in range(steps):
        step = source.randrange(4)
        if step == 0:
            kernel.square(lane.x, lane.x)
            values = [value * value * inverse % order for value in values]
        elif step == 1:
            kernel.make_ready(lane.x, lane.y)
            kernel.multiply(lane.x, lane.y, lane.x)
            values = [value * value * inverse % order for value in values]
        elif step == 2:
            kernel.multiply(lane.x, lane.constant(fixed), lane.x)
            values = [value * (order - 2) * inverse % order for value in values]
        else:
            kernel.add(lane.x, lane.x, lane.x)
            kernel.multiply(lane.x, lane.constant(fixed), lane.x)
            values = [2 * value * (order - 2) * inverse % order for value in values]
    assert written(lane, len(numbers)) == [int(value * inverse % order) for value in values]


@pytest.mark.parametrize(("bits", "degree"), SIZES)
def test_chains_of_products_and_squares_stay_exact(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    chain(ring, numbers_of(ring, 8), 120, f"{bits}")


@pytest.mark.parametrize(("bits", "degree"), [(512, 1), (1024, 1)])
def test_long_chains_stay_exact(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    chain(ring, numbers_of(ring, 8), 3000, "long")


@pytest.mark.slow
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [2048, 2050, 3072, 4095, 4096])
def test_chains_of_ten_thousand(ring_of, numbers_of, bits, degree):
    ring = ring_of(bits, degree)
    chain(ring, numbers_of(ring, 8), 10_000, "ten thousand")


@pytest.mark.parametrize(("bits", "degree"), [(512, 1), (1024, 3), (2048, 1)])
def test_operands_at_the_bounds_of_their_size(ring_of, bits, degree):
    """Parts of ±R, which no product can be made to reach, still multiply exactly."""
    ring = ring_of(bits, degree)
    constants, order = ring.constants, ring.modulus**ring.parts
    bound = constants.bases.operand_bound
    lane = Lane(ring, 8, 1)
    expected = []
    for column in range(8):
        parts = [bound if (column + part) % 3 else -bound for part in range(ring.parts)]
        parts[0] -= column
        number = sum(part * ring.modulus**place for place, part in enumerate(parts))
        lane.kernel.set(lane.kernel.residues(), constants.in_b(parts))
        one = lane.room(1)[0]
        lane.kernel.set(one, constants.in_b(parts))
        lane.x.a[:, :, column], lane.x.b[:, :, column] = one.a[:, :, column], one.b[:, :, column]
        expected.append(number % order)
    inverse = pow(constants.bases.product_a, -1, order)
    lane.kernel.make_ready(lane.x, lane.y)
    squared = lane.room(1)[0]
    lane.kernel.square(lane.x, squared)
    lane.kernel.multiply(lane.x, lane.y, lane.x)
    products = [number * number * inverse * inverse % order for number in expected]
    assert written(lane, 8) == products
    lane.x = squared
    assert written(lane, 8) == products


def test_a_sum_of_many_numbers_times_a_constant(ring_of):
    """What reading p-adic digits from N-adic ones takes: k numbers of full width, added, then one product."""
    ring = ring_of(1024, 1)
    order = ring.modulus**2
    largest = np.full((1, 2, ring.width), 255, dtype=np.uint8)
    lane = Lane(ring, 8, 1)
    lane.kernel.read(lane.read(largest), lane.x)
    term = lane.room(1)[0]
    lane.kernel.read(lane.read(largest), term)
    rows = len(ring.constants.bases.a)
    for _ in range(rows - 1):
        lane.kernel.add(lane.x, term, lane.x)
    factor = order - 1
    prepared = ring.prepared(factor * ring.constants.bases.product_a**2 % order)
    lane.kernel.multiply(lane.x, lane.constant(prepared), lane.x)
    number = (2 ** (8 * ring.width) - 1) * (1 + ring.modulus)
    assert written(lane, 1) == [rows * number * factor % order]


@pytest.mark.parametrize("which", ["three", "in A", "in B"])
def test_a_modulus_that_shares_a_factor_with_the_primes_is_refused(ring_of, which):
    ring = ring_of(1024, 1)
    bases = ring.constants.bases
    factor = {"three": 3, "in A": bases.a[5], "in B": bases.b[-1]}[which]
    cofactor = (1 << 1023) // factor | 1
    modulus = factor * next(
        c for c in range(cofactor, cofactor + 100, 2) if (factor * c).bit_length() == 1024
    )
    with pytest.raises(InvalidInput) as caught:
        Ring(modulus, 1)
    assert caught.value.code == "bad_modulus"


def test_a_ring_shows_nothing_of_its_modulus(ring_of):
    ring = ring_of(1024, 1)
    assert repr(ring) == "<Ring of 1024 bits, degree 1>"


def test_public_rings_are_kept(ring_of):
    modulus = ring_of(512, 1).modulus
    assert Ring.of(modulus, 1) is Ring.of(modulus, 1)
    assert Ring.of(modulus, 1) is not Ring.of(modulus, 2)


def test_as_many_primes_as_the_size_needs(ring_of):
    """Fewer rows are the cheapest gain there is: the figures that speed rests on."""
    rows = {bits: len(ring_of(bits, 1).constants.bases.b) for bits in (1024, 2048, 3072, 4096)}
    assert rows == {1024: 42, 2048: 84, 3072: 127, 4096: 171}
