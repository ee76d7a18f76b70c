"""The little number theory that making and checking a key takes, on Python integers."""

from __future__ import annotations

import math
import secrets
from functools import cache
from typing import Final

__all__ = ["SMALL_PRIME_BOUND", "has_small_factor", "is_probable_prime", "jacobi", "root_of_unity"]

SMALL_PRIME_BOUND: Final = 2**16
"""A result key shares no factor below this; the arithmetic refuses one that shares a factor with its
moduli."""

# A random number of 224 bits or more that passes is composite with probability below 2^−120 (Damgård,
# Landrock, Pomerance, Mathematics of Computation 61, 1993, theorem 2); one that somebody chose, below
# 2^−64.
_MILLER_RABIN_ROUNDS: Final = 32


def has_small_factor(number: int) -> bool:
    """Whether a prime below `SMALL_PRIME_BOUND` divides a positive number."""
    return math.gcd(number, _small_primes_product() % number) != 1


def is_probable_prime(number: int) -> bool:
    """Whether a number is prime, by trial division and the Miller–Rabin test with random bases.

    Args:
        number: Odd, above `SMALL_PRIME_BOUND`.
    """
    if has_small_factor(number):
        return False
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    for _ in range(_MILLER_RABIN_ROUNDS):
        power = pow(secrets.randbelow(number - 3) + 2, (number - 1) >> twos, number)
        squares = 0
        while power not in (1, number - 1) and squares < twos - 1:
            power, squares = power * power % number, squares + 1
        if power != number - 1 and (power != 1 or squares):
            return False
    return True


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


def root_of_unity(residue: int, prime: int, degree: int) -> int:
    """The one (p−1)-th root of unity modulo p^(degree+1) that is ≡ residue modulo p: its Teichmüller lift.

    With u = residue^(p−1) ≡ 1 (mod p) it is residue·u^(1/(1−p)), a binomial series in u − 1 that ends after
    `degree` terms, for p^(degree+1) divides all that follow. The exponent 1/(1−p) is any integer congruent
    to it modulo p^degree, by which the order of u divides.

    Args:
        residue: Prime to p.
        prime: p, above `degree`.
        degree: 1 or more.
    """
    modulus: int = prime ** (degree + 1)
    exponent = pow(1 - prime, -1, prime**degree)
    step = pow(residue, prime - 1, modulus) - 1
    root, binomial, power = 1, 1, 1
    for index in range(1, degree + 1):
        binomial = binomial * (exponent - index + 1) * pow(index, -1, modulus) % modulus
        power = power * step % modulus
        root += binomial * power
    return residue * root % modulus


@cache
def _small_primes_product() -> int:
    is_prime = bytearray(b"\1") * SMALL_PRIME_BOUND
    is_prime[:2] = b"\0\0"
    for candidate in range(2, math.isqrt(SMALL_PRIME_BOUND) + 1):
        multiples = range(candidate * candidate, SMALL_PRIME_BOUND, candidate)
        if is_prime[candidate]:
            is_prime[multiples.start :: candidate] = bytes(len(multiples))
    return math.prod(number for number in range(SMALL_PRIME_BOUND) if is_prime[number])
