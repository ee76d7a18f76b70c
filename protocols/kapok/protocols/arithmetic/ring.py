"""The ring Z/N^(s+1) for one modulus: its size, its constants, and what is kept with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final

from kapok.errors import InvalidInput
from kapok.protocols.arithmetic.bases import Constants, Floats
from kapok.protocols.arithmetic.kernel import SMALL_PRODUCT

if TYPE_CHECKING:
    from kapok.protocols.arithmetic.chunks import Lane

__all__ = ["Ring"]

LEAST_BITS: Final = 512
MOST_BITS: Final = 4096
MOST_DEGREE: Final = 4

# Residues of one part in a block of columns: as many as keep a block's arrays within a core's own cache.
_BLOCK_RESIDUES: Final = 10_200
_NARROW_COLUMNS: Final = (8, 32)
_COLUMN_STEP: Final = 8
_SLICE_STEP: Final = 16
# So many columns more would take as long as the calls of NumPy for a block take in any case.
_COLUMNS_OF_CALLS: Final = 24
# Prepared constants that a ring keeps.
_MOST_KEPT: Final = 64


class Ring:
    """Z/N^(s+1) for one modulus. Safe to share between threads.

    Attributes:
        modulus: N.
        degree: s.
        parts: N-adic digits of an element, s + 1.
        width: Bytes of a digit, ⌈|N|/8⌉.
        constants: What products take from N.
        columns: Columns of a full block.
        idle_lanes: Rooms to work in that no thread uses just now (`chunks`).

    Raises:
        InvalidInput: code ``bad_modulus`` for a modulus that is even, not of 512 to 4096 bits, or shares a
            factor with the primes of the arithmetic; ``bad_degree`` for a degree that is not 0 to 4.
    """

    def __init__(self, modulus: int, degree: int) -> None:
        if not 0 <= degree <= MOST_DEGREE:
            raise InvalidInput(f"there is no arithmetic of degree {degree}", code="bad_degree")
        if modulus < 0 or modulus % 2 == 0 or not LEAST_BITS <= modulus.bit_length() <= MOST_BITS:
            raise InvalidInput(
                f"a modulus must be odd and have {LEAST_BITS} to {MOST_BITS} bits",
                code="bad_modulus",
            )
        self.modulus = modulus
        self.degree = degree
        self.parts = degree + 1
        self.width = -(-modulus.bit_length() // 8)
        self.constants = Constants.of(modulus, degree)
        self.columns = _columns(len(self.constants.bases.b))
        self._lock = Lock()
        self.idle_lanes: dict[int, list[Lane]] = {}
        self._prepared: dict[str, Floats] = {}
        self._one: Floats | None = None
        self._modulo_n: Ring | None = None

    @classmethod
    def of(cls, modulus: int, degree: int) -> Ring:
        """The ring, kept for the next time: for public moduli only; the cache holds a few.

        Raises:
            InvalidInput: as the constructor.
        """
        return _ring(modulus, degree)

    @property
    def ready_rows(self) -> int:
        """Residues of a ready operand, (s+1)·(kA+kB)."""
        bases = self.constants.bases
        return self.parts * (len(bases.a) + len(bases.b))

    def block_columns(self, count: int) -> int:
        """Columns of the blocks in which `count` numbers are worked on, so that few columns stay empty."""
        for narrow in _NARROW_COLUMNS:
            if count <= narrow:
                return narrow
        blocks = -(-count // self.columns)
        columns = _width(count, blocks)
        wider = _width(count, max(1, blocks - 1))
        saves = (blocks - 1) * (wider + _COLUMNS_OF_CALLS) < blocks * (columns + _COLUMNS_OF_CALLS)
        return wider if saves and wider <= 5 * self.columns // 4 else columns

    def prepared(self, value: int) -> Floats:
        """The number, made ready for products, (ready_rows, 1)."""
        return self.constants.prepared(self._parts_of(value))[:, None]

    @property
    def modulo_n(self) -> Ring:
        """Z/N, kept with this ring."""
        if self._modulo_n is None:
            self._modulo_n = self if self.degree == 0 else Ring(self.modulus, 0)
        return self._modulo_n

    @property
    def montgomery_one(self) -> Floats:
        """A mod N^(s+1), as residues in B, (s+1, kB): a one to multiply prepared numbers into."""
        if self._one is None:
            radix = self.constants.bases.product_a
            self._one = self.in_b(radix % self.modulus**self.parts)
        return self._one

    def in_b(self, value: int) -> Floats:
        """The number's residues in B, (s+1, kB), for `Kernel.set`."""
        return self.constants.in_b(self._parts_of(value))

    def binomial_step(self, j: int) -> Floats:
        """N/(j+1)·A², made ready: what Horner's rule for (1+N)^m multiplies m − j by."""
        return self._kept(
            f"N/{j + 1}", lambda modulus, radix: self.modulus * pow(j + 1, -1, modulus) * radix**2
        )

    def montgomery(self, power: int) -> Floats:
        """A^power, made ready: multiplying by it takes out power − 1 factors A⁻¹."""
        return self._kept(f"A^{power}", lambda modulus, radix: pow(radix, power, modulus))

    def _kept(self, name: str, value: Callable[[int, int], int]) -> Floats:
        with self._lock:
            if name not in self._prepared:
                if len(self._prepared) >= _MOST_KEPT:
                    del self._prepared[next(iter(self._prepared))]
                modulus = self.modulus**self.parts
                number = value(modulus, self.constants.bases.product_a) % modulus
                self._prepared[name] = self.prepared(number)
            return self._prepared[name]

    def _parts_of(self, value: int) -> list[int]:
        parts = []
        for _ in range(self.parts):
            value, part = divmod(value, self.modulus)
            parts.append(part)
        return parts

    def __repr__(self) -> str:
        return f"<Ring of {self.modulus.bit_length()} bits, degree {self.degree}>"


def _width(count: int, blocks: int) -> int:
    """Columns of so many blocks for `count` numbers."""
    return -(-count // (blocks * _COLUMN_STEP)) * _COLUMN_STEP


def _columns(rows: int) -> int:
    """Columns of a full block: slices of 16 or a multiple, each small enough for BLAS's faster path."""
    wanted = _BLOCK_RESIDUES / rows
    within = min(wanted, SMALL_PRODUCT / rows**2)
    columns = max(1, math.floor(within / _SLICE_STEP)) * _SLICE_STEP
    return columns * max(1, round(wanted / columns))


@lru_cache(maxsize=16)
def _ring(modulus: int, degree: int) -> Ring:
    return Ring(modulus, degree)
