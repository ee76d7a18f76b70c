"""(1+N)^m: the part of a ciphertext that holds the plaintext, without an exponentiation.

For m = m₀ + m₁N + … below N^s the binomial series ends (Damgård, Jurik 2001, section 3):

    (1+N)^m = Σ_{j≤s} C(m,j)·N^j = 1 + m·N·(1 + (m−1)/2·N·(1 + … (m−s+1)/s·N))   mod N^(s+1)

With s = 1 that is 1 + m·N, whose digits are 1 and m; and f·(1+N)^m has the digits f₀ and f₁ + m·f₀ mod N: a
product modulo N, not N². `Factors` holds such f ready for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.errors.secrecy import NeverPickled
from kapok.protocols.arithmetic.chunks import Lane, run
from kapok.protocols.arithmetic.digits import Digits, check_digits
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["Factors", "one_plus_n_power", "times_one_plus_n_power"]


@dataclass(frozen=True, slots=True, eq=False)
class Factors(NeverPickled):
    """What (1+N)^m will be multiplied by: numbers modulo N^(s+1), and with s = 1 what makes a product quick.

    As secret as the numbers are: neither printed nor pickled.

    Attributes:
        digits: The numbers, (count, s+1, width), uint8.
        rows: With s = 1 f₀·A made ready modulo N and f₁ as `Kernel.save` keeps it, float32 of shape
            (count, kA + 2·kB); else nothing, (count, 0).
    """

    digits: Digits = field(repr=False)
    rows: npt.NDArray[np.float32] = field(repr=False)

    @classmethod
    def zeros(cls, ring: Ring, count: int) -> Self:
        """Room for so many."""
        return cls(
            np.zeros((count, ring.parts, ring.width), dtype=np.uint8),
            np.zeros((count, _row_length(ring)), dtype=np.float32),
        )

    @classmethod
    def of(cls, ring: Ring, digits: Digits) -> Self:
        """Numbers made ready.

        Args:
            ring: The ring, of degree s ≥ 1.
            digits: The numbers, (count, s+1, width), uint8.

        Raises:
            InvalidInput: code ``bad_digits``.
        """
        check_digits(ring, digits)
        rows = np.zeros((len(digits), _row_length(ring)), dtype=np.float32)
        modulo_n = ring.modulo_n
        to_radix = modulo_n.montgomery(2)

        def work(lane: Lane, chunk: slice) -> None:
            kernel, x, y = lane.kernel, lane.x, lane.y
            for span in lane.spans(len(rows[chunk])):
                lowest, highest = np.split(rows[chunk][span], [modulo_n.ready_rows], axis=1)
                kernel.read(lane.read(digits[chunk, :1][span]), x)
                kernel.multiply(x, lane.constant(to_radix), x)
                kernel.make_ready(x, y)
                np.copyto(lowest, y.rows[:, : len(lowest)].T, casting="same_kind")
                kernel.read(lane.read(digits[chunk, 1:][span]), x)
                kernel.save(x, highest)

        if ring.degree == 1:
            run(modulo_n, len(digits), work)
        return cls(digits, rows)

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, places: slice) -> Self:
        """Some of them, in the same memory."""
        return type(self)(self.digits[places], self.rows[places])

    def put(self, start: int, others: Factors) -> None:
        """Copy others of the same ring to the places from `start` on."""
        self.digits[start : start + len(others)] = others.digits
        self.rows[start : start + len(others)] = others.rows

    def take(self, places: slice) -> Self:
        """Some of them, copied; in their places are zeros."""
        taken = type(self)(self.digits[places].copy(), self.rows[places].copy())
        self.digits[places] = 0
        self.rows[places] = 0
        return taken


def one_plus_n_power(ring: Ring, m: Digits) -> Digits:
    """(1+N)^m mod N^(s+1), digits (count, s+1, width).

    Args:
        ring: The ring, of degree s ≥ 1.
        m: Digits (count, s, width), uint8, of numbers in [0, N^s).

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    check_digits(ring, m, parts=ring.degree)
    out = np.zeros((len(m), ring.parts, ring.width), dtype=np.uint8)
    if ring.degree <= 1:
        out[:, 0, 0] = 1
        out[:, 1:] = m
        return out

    def work(lane: Lane, chunk: slice) -> None:
        digits = out[chunk]
        for span in lane.spans(len(digits)):
            _series(lane, m[chunk][span])
            lane.write(lane.x, span)
        lane.flush(digits)

    run(ring, len(m), work)
    return out


def times_one_plus_n_power(ring: Ring, factors: Factors, m: Digits) -> Digits:
    """factor·(1+N)^m for every pair: an encryption with its randomness at hand.

    Args:
        ring: The ring, of degree s ≥ 1.
        factors: The factors, made ready in this ring.
        m: Digits (count, s, width), uint8.

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    check_digits(ring, m, parts=ring.degree)
    if len(factors) != len(m):
        raise InvalidInput("vectors to multiply must be of one length", code="bad_digits")
    if ring.degree == 1:
        return _times_one_plus_m_n(ring, factors, m)
    out = np.empty(factors.digits.shape, dtype=np.uint8)
    restore = ring.montgomery(2)

    def work(lane: Lane, chunk: slice) -> None:
        kernel, x, y = lane.kernel, lane.x, lane.y
        for span in lane.spans(len(out[chunk])):
            _series(lane, m[chunk][span])
            kernel.read_ready(lane.read(factors.digits[chunk][span]), y)
            kernel.multiply(x, y, x)
            kernel.multiply_last(x, lane.constant(restore), x)
            lane.write(x, span)
        lane.flush(out[chunk])

    run(ring, len(m), work)
    return out


def _times_one_plus_m_n(ring: Ring, factors: Factors, m: Digits) -> Digits:
    """The same with s = 1: f₀ stays, and f₁ + m·f₀ is a product modulo N."""
    out = np.empty(factors.digits.shape, dtype=np.uint8)
    out[:, 0] = factors.digits[:, 0]
    modulo_n = ring.modulo_n

    def work(lane: Lane, chunk: slice) -> None:
        kernel, x, y = lane.kernel, lane.x, lane.y
        for span in lane.spans(len(out[chunk])):
            lowest, highest = np.split(factors.rows[chunk][span], [modulo_n.ready_rows], axis=1)
            kernel.read(lane.read(m[chunk][span]), x)
            np.copyto(y.rows[:, : len(lowest)], lowest.T)
            kernel.multiply_last(x, y, x)
            kernel.add_saved(highest, x)
            lane.write(x, span)
        lane.flush(out[chunk, 1:])

    run(modulo_n, len(m), work)
    return out


def _row_length(ring: Ring) -> int:
    """Residues of a factor: of a ready operand modulo N and of base B, where s = 1."""
    return ring.modulo_n.ready_rows + len(ring.modulo_n.constants.bases.b) if ring.degree == 1 else 0


def _series(lane: Lane, m: Digits) -> None:
    """lane.x = (1+N)^m for digits (count, s, width), by Horner's rule: T_j = 1 + (m−j)·N/(j+1)·T_{j+1}."""
    ring, kernel = lane.ring, lane.kernel
    zeros = [0] * ring.degree
    total, (number, shifted, constant) = lane.x, lane.room(3)
    padded = np.zeros((len(m), ring.parts, ring.width), dtype=np.uint8)
    padded[:, :-1] = m
    kernel.read(lane.read(padded), number)
    kernel.set(total, ring.constants.in_b([1, *zeros]))
    for j in range(ring.degree - 1, -1, -1):
        kernel.set(constant, ring.constants.in_b([-j, *zeros]))
        kernel.add(number, constant, shifted)
        kernel.multiply(shifted, lane.constant(ring.binomial_step(j)), shifted)
        kernel.make_ready(shifted, lane.y)
        kernel.multiply(total, lane.y, total)
        kernel.set(constant, ring.constants.in_b([1, *zeros]))
        kernel.add(total, constant, total)
