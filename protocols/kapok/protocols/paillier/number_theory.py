"""The little number theory that checking a public key takes."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np

__all__ = ["SMALL_PRIME_BOUND", "has_small_factor", "jacobi"]

SMALL_PRIME_BOUND: Final = 2**16
"""A result key shares no factor below this; the moduli of a residue arithmetic have to be coprime to it."""


def has_small_factor(number: int) -> bool:
    """Whether a prime below `SMALL_PRIME_BOUND` divides a positive number."""
    return math.gcd(number, _small_primes_product() % number) != 1


def jacobi(numerator: int, modulus: int) -> int:
    """The Jacobi symbol: −1, 0 or +1 (Cohen, *A Course in Computational Algebraic Number Theory*, 1.4.2).

    Args:
        numerator: Any integer.
        modulus: Odd and positive.
    """
    numerator %= modulus
    symbol = 1
    while numerator:
        twos = (numerator & -numerator).bit_length() - 1
        numerator >>= twos
        if twos % 2 and modulus % 8 in (3, 5):
            symbol = -symbol
        if numerator % 4 == 3 and modulus % 4 == 3:
            symbol = -symbol
        numerator, modulus = modulus % numerator, numerator
    return symbol if modulus == 1 else 0


@cache
def _small_primes_product() -> int:
    is_prime = np.ones(SMALL_PRIME_BOUND, dtype=np.bool_)
    is_prime[:2] = False
    for candidate in range(2, math.isqrt(SMALL_PRIME_BOUND) + 1):
        if is_prime[candidate]:
            is_prime[candidate * candidate :: candidate] = False
    return math.prod(int(prime) for prime in np.flatnonzero(is_prime))
