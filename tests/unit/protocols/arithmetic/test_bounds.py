"""Every float64 that the arithmetic can meet is exact: bounds from the constants in use, and runs at them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from kapok.errors import InternalError
from kapok.protocols.arithmetic import bases, bounds, from_integers, kernel
from kapok.protocols.arithmetic.chunks import Lane
from kapok.protocols.arithmetic.ring import Ring

SHAPES = [(512, 1), (1024, 0), (1024, 1), (1024, 4), (1536, 3), (2048, 1), (2048, 4), (3072, 1), (4096, 2)]
EXACT = 2**53


def worst_sums(ring: Ring) -> dict[str, int]:
    """The largest size of every sum, from the constants alone, in Python's integers."""
    constants, s = ring.constants, ring.degree
    h_a, h_b = ([prime // 2 + 2 for prime in primes] for primes in (constants.bases.a, constants.bases.b))
    top_a, top_b, rows_b = max(h_a), max(h_b), len(h_b)

    def rows(matrix, sizes):
        return max(
            sum(abs(int(entry)) * size for entry, size in zip(row, sizes, strict=True)) for row in matrix
        )

    beta, carry = rows_b // 2 + 1, constants.bases.operand_bound // ring.modulus + 1
    half = [2**23] * (constants.read_a.shape[1] - 1) + [1]
    to_b = rows(constants.to_b, h_a)
    return {
        "a product in base A": (s + 1) * top_a**2,
        "a product in base B": to_b + (s + 1) * top_b**2 + s * top_b**2,
        "a square in base A": (s + 1) * top_a**2 + top_a**2,
        "a square in base B": to_b + (s + 1) * top_b**2 + top_b**2,
        "an operand made ready": 2 * max(top_a, top_b) ** 2,
        "the extension to A": rows(constants.to_a, [*h_b, beta]),
        "digits read in A": rows(constants.read_a, half) + top_a**2,
        "digits read in B": max(rows(constants.read_b, half), rows(constants.read_ready_b, half) + top_b**2),
        "digits written": rows(constants.written, [*h_b, beta, carry]),
    }


@pytest.mark.parametrize(("bits", "degree"), SHAPES)
def test_no_sum_can_pass_2_to_the_53(ring_of, bits, degree):
    ring = ring_of(bits, degree)
    sums = worst_sums(ring)
    # A reduction has to have room for m more; what is written is not reduced.
    assert {step: size for step, size in sums.items() if size > EXACT - 2**25} == {}
    # What `check` goes by, for every modulus that is used, misses no step and takes none for less than it is.
    reached = ring.constants.reached()
    assert reached.keys() == sums.keys()
    assert {step: size for step, size in sums.items() if size > reached[step]} == {}
    primes = [*ring.constants.bases.a, *ring.constants.bases.b]
    assert max(primes) < 2**25
    assert len(set(primes)) == len(primes)


@pytest.mark.parametrize(("bits", "degree"), SHAPES)
def test_the_bases_are_as_large_as_the_sizes_of_operands_need(ring_of, bits, degree):
    ring = ring_of(bits, degree)
    constants = ring.constants
    rows = max(len(constants.bases.a), len(constants.bases.b))
    bound = constants.bases.operand_bound
    assert bound >= (len(constants.bases.a) + 1) * 2 ** (8 * ring.width)
    assert constants.bases.product_a >= 2 * (degree + 1) * bound
    assert constants.bases.product_b > 4 * bound
    # The largest product of two operands, reduced, is no larger than an operand.
    largest_q = sum((prime // 2 + 2) * (constants.bases.product_a // prime) for prime in constants.bases.a)
    reduced = ((degree + 1) * bound**2 + largest_q * (ring.modulus + 1)) // constants.bases.product_a + 1
    assert reduced <= bound
    # β is found by rounding: what it is off by, and what rounding adds, stays below one half.
    assert bound / constants.bases.product_b + rows**2 * 2.0**-52 < 0.5


def test_larger_primes_are_refused(monkeypatch, ring_of):
    """The mutation: what `check` is there for."""
    modulus = ring_of(2048, 1).modulus
    monkeypatch.setattr(bounds, "largest_prime", lambda rows, degree, *, typical: 2**25 - 8)
    bases._bases.cache_clear()
    try:
        with pytest.raises(InternalError) as caught:
            Ring(modulus, 1)
    finally:
        bases._bases.cache_clear()
    assert caught.value.code == "inexact_arithmetic"


def test_a_modulus_with_untypical_rows_gets_primes_that_are_good_for_all(monkeypatch, ring_of):
    ring = ring_of(2048, 1)
    checked = []

    def refuse_once(reached):
        checked.append(reached)
        return len(checked) > 1

    monkeypatch.setattr(bounds, "are_exact", refuse_once)
    cautious = Ring(ring.modulus, 1)
    assert max(cautious.constants.bases.b) < max(ring.constants.bases.b)
    h = bounds.residue_bound(max(cautious.constants.bases.a + cautious.constants.bases.b))
    assert (len(cautious.constants.bases.a) + 4) * h**2 <= EXACT


@pytest.mark.parametrize(("bits", "degree"), [(512, 1), (2048, 1), (4096, 1)])
def test_matrices_are_exact_for_the_operand_that_reaches_a_row_s_bound(ring_of, bits, degree):
    constants = ring_of(bits, degree).constants
    for matrix, primes in ((constants.to_b, constants.bases.a), (constants.to_a[:, :-1], constants.bases.b)):
        sizes = np.array([(prime + 1) // 2 + bounds.SLACK for prime in primes], dtype=np.float64)
        operands = np.sign(matrix).T * sizes[:, None]  # a column for each row
        got = np.matmul(matrix, operands)
        exact = matrix.astype(np.int64).astype(object) @ operands.astype(np.int64).astype(object)
        assert np.array_equal(got.astype(np.int64).astype(object), exact)
        assert int(np.diag(got).max()) == bounds.row_bound(matrix, sizes)


@pytest.mark.parametrize(("bits", "degree"), [(512, 0), (1024, 1), (1024, 4), (3072, 1)])
def test_what_is_reduced_in_a_run_stays_within_the_bounds(ring_of, numbers_of, monkeypatch, bits, degree):
    ring = ring_of(bits, degree)
    seen = []
    reduce = kernel._reduce

    def watched(x, primes, inverses, scratch, out):
        assert np.array_equal(x, np.rint(x))
        seen.append(float(np.abs(x).max()))
        reduce(x, primes, inverses, scratch, out)
        assert np.all(np.abs(out) <= primes / 2 + bounds.SLACK)

    monkeypatch.setattr(kernel, "_reduce", watched)
    lane = Lane(ring, 32, 1)
    lane.kernel.read(lane.read(from_integers(ring, numbers_of(ring, 32))), lane.x)
    for _ in range(20):
        lane.kernel.make_ready(lane.x, lane.y)
        lane.kernel.multiply(lane.x, lane.y, lane.x)
        lane.kernel.square(lane.x, lane.x)
    assert seen
    assert max(seen) <= max(worst_sums(ring).values())


def test_a_reduction_is_exact_up_to_its_limit():
    """Next to it and down to twice the modulus below: of both signs, with quotients rounded up and down.

    Of each modulus one multiple is the first above the limit: with some it would be no float64 if there were
    no room above.
    """
    source = random.Random(1)
    moduli = [3, 37, 12_582_917, 2**25 - 9, *(source.randrange(2**22, 2**25) | 1 for _ in range(200))]
    column = np.array(moduli)[:, None]
    near = np.concatenate([np.arange(100), np.arange(0, 2001) * column.max() // 1000])
    numbers = np.concatenate([bounds.REDUCIBLE - near, near - bounds.REDUCIBLE])
    x = np.repeat(numbers[None].astype(np.float64), len(moduli), axis=0)
    wide = np.repeat(column.astype(np.float64), len(numbers), axis=1)
    out = np.empty_like(x)
    kernel._reduce(x, wide, 1.0 / wide, np.empty_like(x), out)
    assert np.array_equal(out.astype(np.int64) % column, numbers % column)
    assert np.all(np.abs(out) <= wide / 2 + bounds.SLACK)
