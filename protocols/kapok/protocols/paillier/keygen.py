"""Making a result key: the analyst's alone, once for a profile.

Under the standard profile primes come from OpenSSL's RSA key generation: those ≡ 3 (mod 4) are pooled and
paired with gcd(p−1, q−1) = 2, so that −1 has Jacobi symbol +1 and −y² generates almost surely all units of
that symbol (Damgård, Jurik, Nielsen 2010).

Under the subgroup profile p = 2·p′·k + 1 with a prime p′ of half the exponent's bits and a random odd k,
and so for q (Ma, Han, Lei 2021, section 4): y is raised to the power of both k, so that −y² has order
2·p′·q′.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from kapok.errors import InvalidInput
from kapok.protocols.paillier.number_theory import is_probable_prime, root_of_unity
from kapok.protocols.paillier.opening import Factor
from kapok.protocols.paillier.private import PrivateKey, is_sound_pair
from kapok.protocols.paillier.public import LEAST_KEY_BITS, MOST_DEGREE, SUBGROUP_EXPONENT_BITS
from kapok.protocols.sizes import DEFAULT_KEY_BITS, GENERATED_KEY_BITS, KeyProfile

__all__ = ["generate"]

_RSA_EXPONENT: Final = 65_537


def generate(bits: int = DEFAULT_KEY_BITS, profile: KeyProfile = "standard") -> PrivateKey:
    """Make a new result key, randomness from the operating system.

    Args:
        bits: Exact size of the modulus: 2048, 3072 (the default) or 4096.
        profile: ``subgroup`` at 2048 and 3072 bits only.

    Raises:
        InvalidInput: code ``key_too_small`` below 2048 bits, ``bad_key_size`` for another size.
    """
    allowed = GENERATED_KEY_BITS if profile == "standard" else tuple(SUBGROUP_EXPONENT_BITS)
    if bits not in allowed:
        raise InvalidInput(
            f"a result key of profile {profile} cannot have {bits} bits",
            code="key_too_small" if bits < LEAST_KEY_BITS else "bad_key_size",
            remedy="choose one of " + ", ".join(str(size) for size in allowed) + " bits",
        )
    candidates = _openssl_factors(bits) if profile == "standard" else _subgroup_factors(bits)
    p, q = _paired(candidates, bits)
    n = p.prime * q.prime
    while True:
        y = secrets.randbelow(n)
        root = pow(y, p.cofactor * q.cofactor, n)
        if math.gcd(y, n) == 1 and root * root % n not in (1, n - 1):
            return PrivateKey(p, q, _randomness_base(p.prime, q.prime, -root * root), profile)


def _randomness_base(p: int, q: int, residue: int) -> int:
    """h_S: the Teichmüller lifts of a residue modulo p and q, joined modulo (p·q)^(S+1)."""
    modulo_p, modulo_q = (root_of_unity(residue % prime, prime, MOST_DEGREE) for prime in (p, q))
    p_power: int = p ** (MOST_DEGREE + 1)
    q_power: int = q ** (MOST_DEGREE + 1)
    return modulo_q + q_power * ((modulo_p - modulo_q) * pow(q_power, -1, p_power) % p_power)


def _paired(candidates: Iterator[Factor], bits: int) -> tuple[Factor, Factor]:
    """Two factors from a growing pool that fit each other."""
    pool: list[Factor] = []
    for factor in candidates:
        for partner in pool:
            if is_sound_pair(factor.prime, partner.prime, bits):
                return factor, partner
        pool.append(factor)
    raise AssertionError("candidates never end")


def _openssl_factors(bits: int) -> Iterator[Factor]:
    while True:
        numbers = rsa.generate_private_key(_RSA_EXPONENT, bits).private_numbers()
        yield Factor(numbers.p, numbers.p - 1)
        yield Factor(numbers.q, numbers.q - 1)


def _subgroup_factors(bits: int) -> Iterator[Factor]:
    """Primes p = 2·p′·k + 1 of `bits`/2 bits with the two highest set, k odd: so p ≡ 3 (mod 4)."""
    order_bits = SUBGROUP_EXPONENT_BITS[bits] // 2
    while True:
        order = secrets.randbits(order_bits) | 1 | 1 << (order_bits - 1)
        if not is_probable_prime(order):
            continue
        least, most = (3 << (bits // 2 - 2)) // (2 * order) + 1, (1 << (bits // 2)) // (2 * order)
        while True:
            cofactor = least + secrets.randbelow(most - least) | 1
            prime = 2 * order * cofactor + 1
            if is_probable_prime(prime):
                yield Factor(prime, 2 * order)
                break
