"""Ciphertexts opened by Python's own integers: obviously right, slow, and nobody's code but this."""

from __future__ import annotations

import secrets
from typing import Final

from benchmarks.keys import BenchmarkKey

__all__ = ["opened", "sampled"]

_SAMPLE: Final = 4


def opened(key: BenchmarkKey, ciphertext: int, degree: int = 1) -> int:
    """The plaintext of a ciphertext modulo N^(degree+1), in [0, N^degree).

    Damgård and Jurik (PKC 2001, section 3): c^λ = (1+N)^(mλ), and mλ by one N-adic digit after the other.
    """
    n, order = key.n, (key.p - 1) * (key.q - 1)
    power = pow(ciphertext, order, n ** (degree + 1))
    found = 0
    for step in range(1, degree + 1):
        modulus = n**step
        value = (power % n ** (step + 1) - 1) // n
        falling, factorial, factor = found, 1, found
        for place in range(2, step + 1):
            factor -= 1
            falling = falling * factor % modulus
            factorial *= place
            value = (value - falling * pow(n, place - 1, modulus) * pow(factorial, -1, modulus)) % modulus
        found = value
    plaintext: int = found * pow(order, -1, n**degree) % n**degree
    return plaintext


def sampled(count: int) -> list[int]:
    """The first place of a batch, the last, and some in between: opening all of them would take too long."""
    return [0, count - 1, *(secrets.randbelow(count) for _ in range(_SAMPLE))]
