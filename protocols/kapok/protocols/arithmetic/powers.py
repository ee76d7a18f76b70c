"""Powers of whole vectors: one exponent for all, or one for each element, by fixed windows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic.chunks import Lane, run
from kapok.protocols.arithmetic.digits import Digits, check_digits
from kapok.protocols.arithmetic.kernel import Ready, Residues
from kapok.protocols.arithmetic.process_pool import PowerWork, SharedWork, as_bytes
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["power", "power_each", "raise_block"]

_EACH_WINDOW: Final = 4


def power(ring: Ring, a: Digits, exponent: int) -> Digits:
    """a^exponent mod N^(s+1) for every element.

    Args:
        ring: The ring.
        a: Digits (count, parts, width), uint8.
        exponent: Not negative.

    Raises:
        InvalidInput: code ``bad_digits``, ``bad_exponent``.
    """
    check_digits(ring, a)
    if exponent < 0:
        raise InvalidInput("an exponent is negative", code="bad_exponent")
    out = np.empty(a.shape, dtype=np.uint8)

    def work(lane: Lane, chunk: slice) -> None:
        digits = out[chunk]
        for span in lane.spans(len(digits)):
            lane.kernel.read(lane.read(a[chunk][span]), lane.x)
            raise_block(lane, lane.x, exponent)
            lane.kernel.multiply_last(lane.x, lane.constant(ring.montgomery(0)), lane.x)
            lane.write(lane.x, span)
        lane.flush(digits)

    powers = PowerWork(as_bytes(ring.modulus), ring.degree, as_bytes(exponent))
    run(ring, len(out), work, SharedWork(powers, (a,), out))
    return out


def raise_block(lane: Lane, x: Residues, exponent: int) -> None:
    """Set x = x^exponent·A for plain x, in place: what is left is to multiply by a prepared number or 1."""
    window = _window(exponent)
    table = _powers_of_block(lane, x, 1 << window)
    kernel = lane.kernel
    digits = _windows(exponent, window)
    kernel.set(x, lane.ring.montgomery_one)
    kernel.multiply(x, table[digits[0]], x)
    for digit in digits[1:]:
        for _ in range(window):
            kernel.square(x, x)
        kernel.multiply(x, table[digit], x)


def power_each(ring: Ring, a: Digits, exponents: npt.NDArray[np.uint8]) -> Digits:
    """a_i^(e_i) mod N^(s+1), an exponent for each element.

    Args:
        ring: The ring.
        a: Digits (count, parts, width), uint8.
        exponents: Little-endian integers, uint8 of shape (count, bytes), bytes at least 1.

    Raises:
        InvalidInput: code ``bad_digits``, ``bad_exponent``.
    """
    check_digits(ring, a)
    if (
        exponents.dtype != np.uint8
        or exponents.ndim != 2
        or len(exponents) != len(a)
        or not exponents.shape[1]
    ):
        raise InvalidInput("exponents must be bytes of shape (count, bytes)", code="bad_exponent")
    out = np.empty(a.shape, dtype=np.uint8)
    used = np.flatnonzero(exponents.any(axis=0))
    octets = int(used[-1]) + 1 if len(used) else 1

    def work(lane: Lane, chunk: slice) -> None:
        digits, kernel = out[chunk], lane.kernel
        nibbles = np.zeros((lane.blocks * lane.columns, octets * 2), dtype=np.intp)
        nibbles[: len(digits), ::2] = exponents[chunk, :octets] & 15
        nibbles[: len(digits), 1::2] = exponents[chunk, :octets] >> 4
        for span in lane.spans(len(digits)):
            kernel.read(lane.read(a[chunk][span]), lane.x)
            table = _powers_of_block(lane, lane.x, 1 << _EACH_WINDOW)
            rows = _by_columns(table)
            kernel.set(lane.x, ring.montgomery_one)
            for place in range(2 * octets - 1, -1, -1):
                if place < 2 * octets - 1:
                    for _ in range(_EACH_WINDOW):
                        kernel.square(lane.x, lane.x)
                chosen = nibbles[span, place] * lane.columns + np.arange(lane.columns)
                np.copyto(lane.y.rows, rows.take(chosen, axis=0).T)
                kernel.multiply(lane.x, lane.y, lane.x)
            kernel.multiply_last(lane.x, lane.constant(ring.montgomery(0)), lane.x)
            lane.write(lane.x, span)
        lane.flush(digits)

    run(ring, len(out), work)
    return out


def _powers_of_block(lane: Lane, x: Residues, count: int) -> list[Ready]:
    """x^0·A … x^(count−1)·A for plain x, ready; x is used up."""
    kernel, ring = lane.kernel, lane.ring
    table = [kernel.expand(ring.montgomery(1))]
    kernel.multiply(x, lane.constant(ring.montgomery(2)), x)
    for place in range(1, count):
        if place > 1:
            kernel.multiply(x, table[1], x)
        table.append(kernel.ready())
        kernel.make_ready(x, table[place])
    return table


def _by_columns(table: list[Ready]) -> npt.NDArray[np.float32]:
    """Rows of one number each, (entries·columns, ready_rows)."""
    return np.concatenate([np.ascontiguousarray(entry.rows.T, dtype=np.float32) for entry in table])


def _window(exponent: int) -> int:
    """Bits of a window: 2^w entries are made for ⌈bits/w⌉ products."""
    bits = max(1, exponent.bit_length())
    return min(range(1, 7), key=lambda window: 1.4 * 2**window + -(-bits // window))


def _windows(exponent: int, window: int) -> list[int]:
    """The exponent's windows, the highest first; at least one."""
    count = max(1, -(-exponent.bit_length() // window))
    mask = (1 << window) - 1
    return [exponent >> (window * place) & mask for place in range(count - 1, -1, -1)]
