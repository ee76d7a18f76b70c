"""Encryption and what it carries over, for whole vectors at once on `kapok.protocols.arithmetic`.

The functions of `kapok.protocols.paillier.plain` with the same results, bytes to bytes: no Python integer for
a ciphertext. Randomness comes from the operating system. Powers of h_s are products of entries of a table,
which is public and kept for its key (`kapok.protocols.paillier.tables`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic import (
    Digits,
    Factors,
    FixedBase,
    Ring,
    from_integers,
    multiply,
    one_plus_n_power,
    power,
    power_each,
    product,
    times_one_plus_n_power,
    to_integers,
)
from kapok.protocols.paillier.digits import are_canonical, are_units, ring_of
from kapok.protocols.paillier.plaintexts import PlaintextVector
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.paillier.vector import CiphertextVector, bad_ciphertext

__all__ = ["add", "encrypt", "obfuscators", "scale", "with_obfuscators"]

# Plaintexts encrypted at once: what is in memory beside the vector and the table.
_BLOCK: Final = 8192


def encrypt(key: PublicKey, plaintexts: PlaintextVector, table: FixedBase) -> CiphertextVector:
    """Encrypt a vector, each plaintext with fresh randomness.

    Args:
        key: The public key.
        plaintexts: The plaintexts.
        table: Of the key's base of randomness, of the plaintexts' degree.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for a digit that is not below N or of another width.
    """
    ring = _ring_for(key, plaintexts)
    out = np.empty((len(plaintexts), ring.parts, ring.width), dtype=np.uint8)
    for start in range(0, len(plaintexts), _BLOCK):
        block = plaintexts.digits[start : start + _BLOCK]
        exponents = _exponents(key, len(block))
        out[start : start + _BLOCK] = table.powers_times(exponents, one_plus_n_power(ring, block))
    return CiphertextVector.of_digits(key, out)


def obfuscators(key: PublicKey, count: int, table: FixedBase) -> Factors:
    """Fresh encryptions of zero, h_s^a, made ready for `with_obfuscators`: each to be used once.

    Args:
        key: The public key.
        count: How many.
        table: Of the key's base of randomness; its degree is theirs.
    """
    return Factors.of(table.ring, table.powers(_exponents(key, count)))


def with_obfuscators(key: PublicKey, plaintexts: PlaintextVector, fresh: Factors) -> CiphertextVector:
    """Encrypt a vector with randomness that was made ahead: as many obfuscators, of the same degree.

    Raises:
        InvalidInput: code ``plaintext_overflow`` for a digit that is not below N or of another width.
    """
    ring = _ring_for(key, plaintexts)
    return CiphertextVector.of_digits(key, times_one_plus_n_power(ring, fresh, plaintexts.digits))


def add(key: PublicKey, vectors: Sequence[CiphertextVector]) -> CiphertextVector:
    """Add vectors that are under `key`, of one degree and length, by multiplying their ciphertexts.

    Raises:
        PeerProtocolError: code ``bad_ciphertext`` for a digit that is not below N or a ciphertext that is no
            unit.
    """
    ring = ring_of(key, vectors[0].degree)
    factors = [vector.digits(key) for vector in vectors]
    if not all(are_canonical(key, factor) for factor in factors):
        raise bad_ciphertext("a digit is not below the key's modulus")
    # A product is a unit exactly if every factor is one.
    total = product(ring, factors)
    if not are_units(key, total):
        raise bad_ciphertext("a ciphertext shares a factor with the key's modulus")
    return CiphertextVector.of_digits(key, total)


def scale(key: PublicKey, vector: CiphertextVector, factors: int | Sequence[int]) -> CiphertextVector:
    """Multiply each encrypted number by its own integer, or all by one.

    Args:
        key: The key that they are under.
        vector: Ciphertexts that have been checked.
        factors: One integer, or one for each; of any sign.
    """
    ring, digits = ring_of(key, vector.degree), vector.digits(key)
    if isinstance(factors, int):
        base = digits if factors >= 0 else _inverses(ring, digits)
        return CiphertextVector.of_digits(key, power(ring, base, abs(factors)))
    negative = np.flatnonzero([factor < 0 for factor in factors])
    if len(negative):
        digits = digits.copy()
        digits[negative] = _inverses(ring, digits[negative])
    octets = max(1, *(-(-factor.bit_length() // 8) for factor in factors))
    exponents = b"".join(abs(factor).to_bytes(octets, "little") for factor in factors)
    array = np.frombuffer(exponents, dtype=np.uint8).reshape(len(factors), octets)
    return CiphertextVector.of_digits(key, power_each(ring, digits, array))


def _ring_for(key: PublicKey, plaintexts: PlaintextVector) -> Ring:
    ring = ring_of(key, plaintexts.degree)
    if not are_canonical(key, plaintexts.digits):
        raise InvalidInput("a plaintext does not fit the result key", code="plaintext_overflow")
    return ring


def _exponents(key: PublicKey, count: int) -> npt.NDArray[np.uint8]:
    """Uniform exponents of the key's bits, uint8 of shape (count, ⌈bits/8⌉), from the operating system."""
    octets = -(-key.exponent_bits // 8)
    exponents = np.frombuffer(bytearray(os.urandom(count * octets)), dtype=np.uint8).reshape(count, octets)
    exponents[:, -1] &= 0xFF >> (8 * octets - key.exponent_bits)
    return exponents


def _inverses(ring: Ring, digits: Digits) -> Digits:
    """Inverses of units: one inversion for all, three products for each (Montgomery 1987, section 10.3.1)."""
    if len(digits) == 1:
        (number,) = to_integers(ring, digits)
        return from_integers(ring, [pow(number, -1, ring.modulus**ring.parts)])
    half = (len(digits) + 1) // 2
    left, right = digits[:half], digits[len(digits) - half :]
    inverses = _inverses(ring, multiply(ring, left, right))
    # Of an odd number the one in the middle is in both halves.
    shared = 2 * half - len(digits)
    return np.concatenate([multiply(ring, inverses, right), multiply(ring, inverses, left)[shared:]])
