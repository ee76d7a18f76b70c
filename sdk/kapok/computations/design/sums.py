"""Sums of doubles as whole words: fixed point of one public scale, and back.

A holder adds up doubles, block by block and compensated, and only then takes the nearest whole multiple of
2^-e. With the bound B ≤ 2^k of what one row can add, e = f - k: a sum over n rows is then off by at most half
of 2^-f of the bound, however many rows there are. Words are as wide as a sum takes: f is 115 for a million
rows, so that the rounding of doubles before, one part in 2^53 of each entry, is what is felt and not this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from kapok.computations.widths import word_bits
from kapok.protocols.secure_sum.params import MOST_WORD_BITS

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats

__all__ = ["Scale", "Total"]

_MOST_FRACTION: Final = MOST_WORD_BITS


class Scale:
    """How sums over at most so many rows become words.

    Attributes:
        bound: V: no word of an honest holder is larger in magnitude.
        exponent: e: a word counts 2^-e.
    """

    def __init__(self, rows_max: int, largest: float) -> None:
        """Choose the finest that fits.

        Args:
            rows_max: Most rows of one holder.
            largest: B, what one row adds to a sum at most.
        """
        fraction = _MOST_FRACTION
        while word_bits(rows_max << fraction) > MOST_WORD_BITS:
            fraction -= 1
        self.bound = rows_max << fraction
        self.exponent = fraction - math.frexp(largest)[1]

    def words(self, sums: Iterable[float]) -> list[int]:
        """The nearest words.

        Raises:
            OverflowError: a sum is larger than so many rows can make it, or no number.
        """
        words = [_nearest(Fraction(value), self.exponent) for value in sums]
        if any(abs(word) > self.bound for word in words):
            raise OverflowError
        return words

    def value(self, word: int) -> float:
        """The sum that a word is, rounded once."""
        return float(Fraction(word) / Fraction(2) ** self.exponent)


def _nearest(value: Fraction, exponent: int) -> int:
    return round(value * Fraction(2) ** exponent)


class Total:
    """A running sum of arrays of one shape, compensated: its error does not grow with the number of blocks.

    Source: Neumaier (1974), Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen.
    """

    def __init__(self, shape: int | tuple[int, ...]) -> None:
        self._sum: Floats = np.zeros(shape)
        self._lost: Floats = np.zeros(shape)

    def add(self, block: Floats) -> None:
        """Add one array."""
        total = self._sum + block
        larger = np.abs(self._sum) >= np.abs(block)
        self._lost += np.where(larger, (self._sum - total) + block, (block - total) + self._sum)
        self._sum = total

    @property
    def value(self) -> Floats:
        """The sum."""
        return self._sum + self._lost
