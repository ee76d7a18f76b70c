"""Jacobi symbols and small factors against definitions."""

from __future__ import annotations

import math

import pytest

from kapok.protocols.paillier.number_theory import (
    SMALL_PRIME_BOUND,
    has_small_factor,
    is_probable_prime,
    jacobi,
    root_of_unity,
)

LARGE_PRIME = 2**521 - 1


def _legendre(numerator: int, prime: int) -> int:
    power = pow(numerator, (prime - 1) // 2, prime)
    return -1 if power == prime - 1 else power


@pytest.mark.parametrize("factors", [(3,), (5,), (7,), (3, 3), (3, 5), (7, 11), (3, 5, 7), (13, 13, 17)])
def test_jacobi_is_the_product_of_legendre_symbols(factors: tuple[int, ...]) -> None:
    modulus = math.prod(factors)
    for numerator in range(-modulus, 2 * modulus):
        expected = math.prod(_legendre(numerator, prime) for prime in factors)
        assert jacobi(numerator, modulus) == expected, (numerator, modulus)


def test_jacobi_of_a_large_prime() -> None:
    for numerator in (2, 3, LARGE_PRIME - 1, 10**100):
        assert jacobi(numerator, LARGE_PRIME) == _legendre(numerator, LARGE_PRIME)


@pytest.mark.parametrize("factor", [2, 3, 5, 251, 257, 65_519, 65_521])
def test_small_factors_are_found(factor: int) -> None:
    assert factor < SMALL_PRIME_BOUND
    assert has_small_factor(factor * LARGE_PRIME)


@pytest.mark.parametrize("number", [LARGE_PRIME, 65_537 * LARGE_PRIME, 65_537 * 65_539, 1])
def test_numbers_without_small_factors_pass(number: int) -> None:
    assert not has_small_factor(number)


@pytest.mark.parametrize("prime", [65_537, 65_539, 2**89 - 1, LARGE_PRIME])
def test_primes_are_recognised(prime: int) -> None:
    assert is_probable_prime(prime)


@pytest.mark.parametrize(
    "number",
    [
        65_537 * 65_539,
        3 * LARGE_PRIME,
        LARGE_PRIME * LARGE_PRIME,
        # A Carmichael number (6k+1)(12k+1)(18k+1) without small factors: Fermat's test lets it pass.
        (6 * 11_045 + 1) * (12 * 11_045 + 1) * (18 * 11_045 + 1),
        # A strong pseudoprime to the first eleven prime bases (Zhang 2007).
        3_825_123_056_546_413_051,
    ],
)
def test_composites_are_recognised(number: int) -> None:
    assert not is_probable_prime(number)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("prime", [7, 65_537, LARGE_PRIME])
def test_roots_of_unity_are_lifts(prime: int, degree: int) -> None:
    for residue in (1, 2, 5, prime - 1):
        root = root_of_unity(residue, prime, degree)
        assert 0 < root < prime ** (degree + 1)
        assert root % prime == residue
        assert root == pow(residue, prime**degree, prime ** (degree + 1))
