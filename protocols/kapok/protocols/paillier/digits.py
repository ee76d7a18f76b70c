"""The arithmetic of a public key, and the checks of digits that a peer sent.

Each ciphertext's digits must be below N, and its lowest one a unit modulo N: one product over all of them
tells. Few are checked on Python integers, many by the vectorised arithmetic; both say the same.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InternalError, InvalidInput
from kapok.protocols.arithmetic import Ring, is_canonical, product_of_all
from kapok.protocols.paillier.public import PublicKey
from kapok.protocols.radix import digits_in

__all__ = ["are_canonical", "are_units", "check_key", "ring_of"]

# From so many units on, multiplying them at once is faster than one after the other: measured.
_FEWEST_AT_ONCE: Final = 1024

_Digits = npt.NDArray[np.uint8]


def check_key(key: PublicKey, degree: int) -> None:
    """Refuse a key for which there is no arithmetic; what there is, is kept for the first vector.

    Raises:
        InvalidInput: as `ring_of`.
    """
    for needed in (0, degree):
        ring_of(key, needed)


def ring_of(key: PublicKey, degree: int) -> Ring:
    """The arithmetic modulo N^(degree+1), kept for the next time.

    Raises:
        InvalidInput: code ``bad_result_key`` for a modulus that shares a factor with the arithmetic's primes,
            or for which its constants would not be exact.
    """
    try:
        return Ring.of(key.n, degree)
    except (InvalidInput, InternalError) as error:
        raise InvalidInput(
            f"the result key cannot be used: {error.message}",
            code="bad_result_key",
            remedy="make a new result key for the analyst's profile and submit the job again",
        ) from None


def are_canonical(key: PublicKey, digits: _Digits) -> bool:
    """Whether every digit, the last axis of a uint8 array, has the key's width and is below N."""
    if digits.size < _FEWEST_AT_ONCE * key.digit_bytes and digits.shape[-1] == key.digit_bytes:
        return all(digit < key.n for digit in digits_in(digits.tobytes(), key.digit_bytes))
    return is_canonical(ring_of(key, 0), digits)


def are_units(key: PublicKey, digits: _Digits) -> bool:
    """Whether ciphertexts, canonical digits (count, degree + 1, width), are all units modulo N."""
    if len(digits) >= _FEWEST_AT_ONCE:
        return math.gcd(product_of_all(ring_of(key, 0), digits[:, :1]), key.n) == 1
    product = 1
    for digit in digits_in(digits[:, 0].tobytes(), key.digit_bytes):
        product = product * digit % key.n
    return math.gcd(product, key.n) == 1
