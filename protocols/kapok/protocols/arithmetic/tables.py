"""Powers of one fixed base, from a table of prepared products.

The exponent's t bits are laid into h rows of a = ⌈t/h⌉ bits, the rows cut into v groups of b bits, the last
of them shorter where b does not divide a (Lim and Lee, *More flexible exponentiation with precomputation*,
CRYPTO 1994):

    e = Σ_{i<h} Σ_{j<v} Σ_{k<b, j·b+k<a} e_{ijk}·2^(i·a + j·b + k)

For each group there is a table of the 2^h products of g^(2^(i·a+j·b)); a power takes a products with
entries and b − 1 squarings, for all columns the same. With b = 1 these are the usual windows of h bits.
Entries lie in float32 (exact: residues are below 2^24), one row of residues each, and are gathered by rows
and transposed.

The table is public if the base is. Which entries are fetched depends on the secret exponents: as in every
implementation with tables, whoever shares the processor's cache could learn of them.
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from typing import Final, Self
from weakref import finalize

import numpy as np
import numpy.typing as npt

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic.chunks import Lane, run
from kapok.protocols.arithmetic.digits import Digits, check_digits, to_integers
from kapok.protocols.arithmetic.process_pool import FixedBaseWork, SharedWork, as_bytes, shared_zeros
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["Comb", "FixedBase"]

_SQUARE_COST: Final = 1.0
_ENTRY_COST: Final = 3.5
_MOST_WINDOW: Final = 16


@dataclass(frozen=True, slots=True)
class Comb:
    """How an exponent is laid out.

    Attributes:
        exponent_bits: t.
        rows: h, the bits that pick an entry.
        groups: v, the tables.
        steps: b, the bits of a group, hence b − 1 squarings; the last group may have fewer.
    """

    exponent_bits: int
    rows: int
    groups: int
    steps: int

    @classmethod
    def of(cls, exponent_bits: int, rows: int, groups: int) -> Comb:
        """The layout with that many rows, and at the most that many groups."""
        span = -(-exponent_bits // rows)
        steps = -(-span // groups)
        return cls(exponent_bits, rows, -(-span // steps), steps)

    @property
    def span(self) -> int:
        """Bits of a row, a: the products of a power."""
        return -(-self.exponent_bits // self.rows)

    @property
    def entries(self) -> int:
        """Entries of all tables, v·2^h."""
        return self.groups << self.rows

    @property
    def cost(self) -> float:
        """Of a power, in products."""
        return self.span + _SQUARE_COST * (self.steps - 1)

    def table_bytes(self, ring: Ring) -> int:
        """Memory of the tables."""
        return self.entries * ring.ready_rows * 4


class FixedBase:
    """Powers of a fixed base. Safe to share between threads.

    Attributes:
        ring: The ring.
        comb: The layout.
        exponent_bits: Exponents are below 2^exponent_bits.
        table_bytes: Memory that the tables take.
    """

    def __init__(self, ring: Ring, base: Digits, comb: Comb) -> None:
        """Build the tables: about 3.5 products for each entry.

        Args:
            ring: The ring.
            base: Digits (parts, width), uint8.
            comb: The layout, e.g. of `plan`.

        Raises:
            InvalidInput: code ``bad_digits``.
        """
        check_digits(ring, base[None])
        self.ring = ring
        self.comb = comb
        self.exponent_bits = comb.exponent_bits
        self._table, self._descriptor = shared_zeros((comb.groups, 1 << comb.rows, ring.ready_rows))
        if self._descriptor is not None:
            finalize(self, os.close, self._descriptor)
        self._work = FixedBaseWork(as_bytes(ring.modulus), ring.degree, astuple(comb))
        self.table_bytes = self._table.nbytes
        (number,) = to_integers(ring, base[None])
        self._build(self._generators(number))

    @classmethod
    def of_table(cls, ring: Ring, comb: Comb, table: npt.NDArray[np.float32]) -> Self:
        """The powers of a base whose table was made in another process."""
        made = cls.__new__(cls)
        made.ring, made.comb, made.exponent_bits = ring, comb, comb.exponent_bits
        made._table = table.reshape(comb.groups, 1 << comb.rows, ring.ready_rows)
        made._descriptor, made.table_bytes = None, table.nbytes
        return made

    @staticmethod
    def plan(ring: Ring, exponent_bits: int, count: int, memory_limit: int) -> Comb:
        """The layout that makes `count` powers, with the tables for them, in the least time.

        Args:
            ring: The ring.
            exponent_bits: Bits of the exponents.
            count: Powers that the tables will be used for.
            memory_limit: Most bytes of the tables.

        Raises:
            InvalidInput: code ``bad_exponent`` for exponents of no bits.
        """
        if exponent_bits < 1:
            raise InvalidInput("exponents must have at least one bit", code="bad_exponent")
        combs = {
            Comb.of(exponent_bits, rows, groups)
            for rows in range(1, min(_MOST_WINDOW, exponent_bits) + 1)
            for groups in range(1, -(-exponent_bits // rows) + 1)
        }
        fitting = [comb for comb in combs if comb.table_bytes(ring) <= memory_limit]
        return min(
            fitting or [Comb.of(exponent_bits, 1, 1)],
            key=lambda comb: (comb.cost * count + _ENTRY_COST * comb.entries, comb.entries, comb.rows),
        )

    def powers(self, exponents: npt.NDArray[np.uint8]) -> Digits:
        """base^e for every exponent, digits (count, parts, width).

        Args:
            exponents: Little-endian integers, uint8 of shape (count, ⌈exponent_bits/8⌉); bits beyond
                `exponent_bits` must be 0.

        Raises:
            InvalidInput: code ``bad_exponent``.
        """
        return self.powers_times(exponents, None)

    def powers_times(self, exponents: npt.NDArray[np.uint8], factors: Digits | None) -> Digits:
        """factor·base^e for every pair, in one pass; arguments and errors as `powers` and `multiply`.

        Raises:
            InvalidInput: code ``bad_exponent``, ``bad_digits``.
        """
        if factors is not None:
            check_digits(self.ring, factors)
        self._check(exponents)
        if factors is not None and len(factors) != len(exponents):
            raise InvalidInput("there must be one factor for each exponent", code="bad_digits")
        ring = self.ring
        out = np.empty((len(exponents), ring.parts, ring.width), dtype=np.uint8)

        def work(lane: Lane, chunk: slice) -> None:
            digits = out[chunk]
            for span in lane.spans(len(digits)):
                places = self._places(exponents[chunk][span], lane.columns)
                factor = None if factors is None else factors[chunk][span]
                self._power_block(lane, places, factor)
                lane.write(lane.x, span)
            lane.flush(digits)

        run(ring, len(out), work, self._to_share(exponents, factors, out))
        return out

    def _to_share(
        self, exponents: npt.NDArray[np.uint8], factors: Digits | None, out: Digits
    ) -> SharedWork | None:
        if self._descriptor is None:
            return None
        operands = (exponents,) if factors is None else (exponents, factors)
        return SharedWork(self._work, operands, out, self._descriptor)

    def _power_block(self, lane: Lane, places: npt.NDArray[np.intp], factor: Digits | None) -> None:
        """lane.x = factor·base^e, plain: the factor comes in where no squaring is left to come."""
        kernel, x = lane.kernel, lane.x
        comb = self.comb
        if comb.steps > 1 or factor is None:
            kernel.set(x, self.ring.montgomery_one)
        for step in range(comb.steps - 1, -1, -1):
            if step < comb.steps - 1:
                kernel.square(x, x)
            if step == 0 and factor is not None:
                self._bring_in(lane, factor, fresh=comb.steps == 1)
            for group, place in enumerate(range(step, comb.span, comb.steps)):
                self._gather(lane, group, places[place])
                kernel.multiply(x, lane.y, x)
        if factor is None:
            kernel.multiply_last(x, lane.constant(self.ring.montgomery(0)), x)

    @staticmethod
    def _bring_in(lane: Lane, factor: Digits, *, fresh: bool) -> None:
        """Set x = factor·x, out of Montgomery's form; or the factor alone."""
        if not fresh:
            lane.kernel.make_ready(lane.x, lane.y)
        lane.kernel.read(lane.read(factor), lane.x)
        if not fresh:
            lane.kernel.multiply(lane.x, lane.y, lane.x)

    def _gather(self, lane: Lane, group: int, places: npt.NDArray[np.intp]) -> None:
        np.take(self._table[group], places, axis=0, out=lane.rows, mode="clip")
        np.copyto(lane.y.rows, lane.rows.T)

    def _places(self, exponents: npt.NDArray[np.uint8], columns: int) -> npt.NDArray[np.intp]:
        """Which entry each column takes, (span, columns): bit i of an entry is bit i·a + place of e."""
        comb = self.comb
        bits = np.zeros((columns, comb.rows * comb.span), dtype=np.uint8)
        unpacked = np.unpackbits(exponents, axis=1, bitorder="little")[:, : bits.shape[1]]
        bits[: len(exponents), : unpacked.shape[1]] = unpacked
        rows = bits.reshape(columns, comb.rows, comb.span).transpose(1, 2, 0)
        places = np.zeros((comb.span, columns), dtype=np.intp)
        for row in range(comb.rows - 1, -1, -1):
            np.left_shift(places, 1, out=places)
            np.bitwise_or(places, rows[row], out=places)
        return places

    def _check(self, exponents: npt.NDArray[np.uint8]) -> None:
        octets = -(-self.exponent_bits // 8)
        if exponents.dtype != np.uint8 or exponents.ndim != 2 or exponents.shape[1] != octets:
            raise InvalidInput(f"exponents must be bytes of shape (count, {octets})", code="bad_exponent")
        spare = 8 * octets - self.exponent_bits
        if spare and np.any(exponents[:, -1] >> (8 - spare)):
            raise InvalidInput(f"an exponent has more than {self.exponent_bits} bits", code="bad_exponent")

    def _generators(self, number: int) -> npt.NDArray[np.float32]:
        """g^(2^(i·a+j·b))·A as `Kernel.restore` takes it, (rows i, groups j, (s+1)·kB).

        Made with integers: this chain of squarings has nothing to batch.
        """
        comb, modulus = self.comb, self.ring.modulus**self.ring.parts
        radix = self.ring.constants.bases.product_a
        generators = []
        for bit in range(comb.rows * comb.span):
            if bit % comb.span % comb.steps == 0:
                generators.append(self.ring.in_b(number * radix % modulus).ravel())
            number = number * number % modulus
        return np.array(generators, dtype=np.float32).reshape(comb.rows, comb.groups, -1)

    def _build(self, generators: npt.NDArray[np.float32]) -> None:
        """Entry by doubling: those with highest bit i are the ones below them times generator i."""
        groups, entries, _ = self._table.shape
        table = self._table.reshape(groups * entries, -1)
        self._table[:, 0] = self.ring.montgomery(1)[:, 0]

        def double(row: int) -> None:
            half = 1 << row
            group, entry = np.divmod(np.arange(groups * half), half)
            places = group * entries + entry

            def work(lane: Lane, chunk: slice) -> None:
                kernel, x, y = lane.kernel, lane.x, lane.y
                for span in lane.spans(len(places[chunk])):
                    sources = places[chunk][span]
                    rows = lane.rows[: len(sources)]
                    np.take(table, sources, axis=0, out=rows, mode="clip")
                    np.copyto(y.rows, lane.rows.T)
                    kernel.restore(generators[row][group[chunk][span]], x)
                    kernel.multiply(x, y, x)
                    kernel.make_ready(x, y)
                    np.copyto(lane.rows, y.rows.T, casting="same_kind")
                    table[sources + half] = rows

            run(self.ring, len(places), work)

        for row in range(self.comb.rows):
            double(row)
