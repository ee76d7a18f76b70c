"""(1+N)^m: the part of a ciphertext that holds the plaintext, without an exponentiation.

For m = m₀ + m₁N + … below N^s the binomial series ends (Damgård, Jurik 2001, section 3):

    (1+N)^m = Σ_{j≤s} C(m,j)·N^j = 1 + m·N·(1 + (m−1)/2·N·(1 + … (m−s+1)/s·N))   mod N^(s+1)

With s = 1 that is 1 + m·N, whose digits are 1 and m.
"""

from __future__ import annotations

import numpy as np

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic.bases import Floats
from kapok.protocols.arithmetic.digits import Digits, check_digits
from kapok.protocols.arithmetic.products import multiply
from kapok.protocols.arithmetic.ring import Ring
from kapok.protocols.arithmetic.workers import Lane, run

__all__ = ["one_plus_n_power", "times_one_plus_n_power"]


def one_plus_n_power(ring: Ring, m: Digits, *, threads: int | None = None) -> Digits:
    """(1+N)^m mod N^(s+1), digits (count, s+1, width).

    Args:
        ring: The ring, of degree s ≥ 1.
        m: Digits (count, s, width), uint8, of numbers in [0, N^s).
        threads: Workers; all cores by default.

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    check_digits(ring, m, parts=ring.degree)
    out = np.zeros((len(m), ring.parts, ring.width), dtype=np.uint8)
    if ring.degree <= 1:
        out[:, 0, 0] = 1
        out[:, 1:] = m
        return out
    padded = np.zeros_like(out)
    padded[:, :-1] = m

    def work(lane: Lane, chunk: slice) -> None:
        digits = out[chunk]
        for span in lane.spans(len(digits)):
            _series(lane, lane.read(padded[chunk][span]))
            lane.write(lane.x, span)
        lane.flush(digits)

    run(ring, len(m), work, threads)
    return out


def times_one_plus_n_power(ring: Ring, factors: Digits, m: Digits, *, threads: int | None = None) -> Digits:
    """factor·(1+N)^m for every pair: an encryption with its randomness at hand.

    With s = 1 the digits are f₀ and f₁ + m·f₀ mod N: a product modulo N, not N².

    Args:
        ring: The ring, of degree s ≥ 1.
        factors: Digits (count, s+1, width), uint8.
        m: Digits (count, s, width), uint8.
        threads: Workers; all cores by default.

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    if ring.degree != 1:
        return multiply(ring, factors, one_plus_n_power(ring, m, threads=threads), threads=threads)
    check_digits(ring, factors)
    check_digits(ring, m, parts=1)
    if len(factors) != len(m):
        raise InvalidInput("vectors to multiply must be of one length", code="bad_digits")
    out = np.empty(factors.shape, dtype=np.uint8)
    out[:, 0] = factors[:, 0]
    modulo_n = ring.modulo_n
    restore = modulo_n.montgomery(2)

    def work(lane: Lane, chunk: slice) -> None:
        kernel, x, y = lane.kernel, lane.x, lane.y
        for span in lane.spans(len(out[chunk])):
            kernel.read(lane.read(factors[chunk, :1][span]), x)
            kernel.read_ready(lane.read(m[chunk][span]), y)
            kernel.multiply(x, y, x)
            kernel.multiply(x, lane.constant(restore), x)
            kernel.add_read(lane.read(factors[chunk, 1:][span]), x)
            lane.write(x, span)
        lane.flush(out[chunk, 1:])

    run(modulo_n, len(m), work, threads)
    return out


def _series(lane: Lane, limbs: Floats) -> None:
    """lane.x = (1+N)^m for m in limbs, by Horner's rule: T_j = 1 + (m−j)·N/(j+1)·T_{j+1}."""
    ring, kernel = lane.ring, lane.kernel
    zeros = [0] * ring.degree
    total, (number, shifted, constant) = lane.x, lane.room(3)
    kernel.read(limbs, number)
    kernel.set(total, ring.constants.in_b([1, *zeros]))
    for j in range(ring.degree - 1, -1, -1):
        kernel.set(constant, ring.constants.in_b([-j, *zeros]))
        kernel.add(number, constant, shifted)
        kernel.multiply(shifted, lane.constant(ring.binomial_step(j)), shifted)
        kernel.make_ready(shifted, lane.y)
        kernel.multiply(total, lane.y, total)
        kernel.set(constant, ring.constants.in_b([1, *zeros]))
        kernel.add(total, constant, total)
