"""Products of whole vectors, bytes to bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic.bases import Floats
from kapok.protocols.arithmetic.chunks import Lane, run
from kapok.protocols.arithmetic.digits import Digits, check_digits, to_integers
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["Product", "multiply", "product", "product_of_all"]


def multiply(ring: Ring, a: Digits, b: Digits) -> Digits:
    """a·b mod N^(s+1), element by element.

    Args:
        ring: The ring.
        a: Digits (count, parts, width), uint8.
        b: The same, or one element (parts, width) for all.

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    if b.ndim == 2:
        return _scale(ring, a, b)
    return product(ring, [a, b])


def product(ring: Ring, factors: Sequence[Digits]) -> Digits:
    """The product of several vectors, element by element: the quickest way to add many ciphertexts.

    Args:
        ring: The ring.
        factors: At least one vector of digits (count, parts, width), all of one count.

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    if not factors or any(len(factor) != len(factors[0]) for factor in factors):
        raise InvalidInput("vectors to multiply must be of one length", code="bad_digits")
    for factor in factors:
        check_digits(ring, factor)
    out = np.empty(factors[0].shape, dtype=np.uint8)
    restore = ring.montgomery(len(factors))

    def work(lane: Lane, chunk: slice) -> None:
        kernel, x, y = lane.kernel, lane.x, lane.y
        for span in lane.spans(len(out[chunk])):
            kernel.read(lane.read(factors[0][chunk][span]), x)
            for factor in factors[1:]:
                kernel.read_ready(lane.read(factor[chunk][span]), y)
                kernel.multiply(x, y, x)
            kernel.multiply_last(x, lane.constant(restore), x)
            lane.write(x, span)
        lane.flush(out[chunk])

    run(ring, len(out), work)
    return out


class Product:
    """A running product of vectors whose blocks come in whatever order: what an aggregator keeps.

    Between blocks an element is (s+1)·kB residues of base B in float32, 4/3 of its digits' bytes.

    Attributes:
        count: Elements of the vector.
    """

    def __init__(self, ring: Ring, count: int) -> None:
        bases = ring.constants.bases
        self.count = count
        self._ring = ring
        self._rows = np.zeros((count, ring.parts * len(bases.b)), dtype=np.float32)
        self._factors: npt.NDArray[np.int32] = np.zeros(count, dtype=np.int32)

    def multiply(self, block: Digits, start: int) -> None:
        """Multiply elements `start` … by a block of digits (any count, parts, width).

        Raises:
            InvalidInput: code ``bad_digits``, also for a block that reaches beyond the vector.
        """
        check_digits(self._ring, block)
        if not 0 <= start <= self.count - len(block):
            raise InvalidInput("a block reaches beyond its vector", code="bad_digits")
        rows = self._rows[start : start + len(block)]
        factors = self._factors[start : start + len(block)]
        for fresh, chosen in ((True, factors == 0), (False, factors != 0)):
            if chosen.all():
                self._fold(rows, block, fresh)
            elif chosen.any():
                part = rows[chosen]
                self._fold(part, np.ascontiguousarray(block[chosen]), fresh)
                rows[chosen] = part
        factors += 1

    def digits(self) -> Digits:
        """The product so far, (count, parts, width); one where nothing was multiplied."""
        ring = self._ring
        out = np.zeros((self.count, ring.parts, ring.width), dtype=np.uint8)
        for factors in np.unique(self._factors):
            if factors == 0:
                out[self._factors == 0, 0, 0] = 1
                continue
            chosen = self._factors == factors
            rows = self._rows if chosen.all() else self._rows[chosen]
            digits = np.empty((len(rows), ring.parts, ring.width), dtype=np.uint8)
            self._finish(rows, digits, ring.montgomery(int(factors)))
            out[chosen] = digits
        return out

    def _fold(self, rows: npt.NDArray[np.float32], block: Digits, fresh: bool) -> None:
        def work(lane: Lane, chunk: slice) -> None:
            kernel, chunk_rows = lane.kernel, rows[chunk]
            for span in lane.spans(len(chunk_rows)):
                limbs = lane.read(block[chunk][span])
                if fresh:
                    kernel.read(limbs, lane.x)
                else:
                    kernel.restore(chunk_rows[span], lane.x)
                    kernel.read_ready(limbs, lane.y)
                    kernel.multiply_last(lane.x, lane.y, lane.x)
                kernel.save(lane.x, chunk_rows[span])

        run(self._ring, len(block), work)

    def _finish(self, rows: npt.NDArray[np.float32], digits: Digits, restore: Floats) -> None:
        def work(lane: Lane, chunk: slice) -> None:
            kernel, chunk_rows = lane.kernel, rows[chunk]
            for span in lane.spans(len(chunk_rows)):
                kernel.restore(chunk_rows[span], lane.x)
                kernel.multiply_last(lane.x, lane.constant(restore), lane.x)
                lane.write(lane.x, span)
            lane.flush(digits[chunk])

        run(self._ring, len(digits), work)


def product_of_all(ring: Ring, digits: Digits) -> int:
    """∏ x₀ mod N over all elements: a unit exactly if every element is one (then one gcd tells).

    Args:
        ring: The ring of the elements.
        digits: (count, parts, width).

    Raises:
        InvalidInput: code ``bad_digits``.
    """
    check_digits(ring, digits)
    base = ring.modulo_n
    lowest = digits[:, :1]
    columns = base.columns
    rows = len(lowest) // columns
    if rows > 1:
        # Whole blocks into one, without a byte written in between.
        whole = [lowest[row * columns : (row + 1) * columns] for row in range(rows)]
        lowest = np.concatenate([product(base, whole), lowest[rows * columns :]])
    while len(lowest) > 8:
        half = len(lowest) // 2
        rest = lowest[2 * half :]
        lowest = np.concatenate([multiply(base, lowest[:half], lowest[half : 2 * half]), rest])
    result = 1
    for number in to_integers(base, lowest):
        result = result * number % ring.modulus
    return result


def _scale(ring: Ring, a: Digits, b: Digits) -> Digits:
    check_digits(ring, a)
    check_digits(ring, b[None])
    (number,) = to_integers(ring, b[None])
    prepared = ring.prepared(number * ring.constants.bases.product_a % ring.modulus**ring.parts)
    out = np.empty(a.shape, dtype=np.uint8)

    def work(lane: Lane, chunk: slice) -> None:
        for span in lane.spans(len(out[chunk])):
            lane.kernel.read(lane.read(a[chunk][span]), lane.x)
            lane.kernel.multiply_last(lane.x, lane.constant(prepared), lane.x)
            lane.write(lane.x, span)
        lane.flush(out[chunk])

    run(ring, len(out), work)
    return out
