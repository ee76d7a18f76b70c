"""Words added up in place: the arithmetic beneath vectors, masks and folds.

A word of 1, 2, 4 or 8 bytes is one lane: NumPy's unsigned integers of that size wrap modulo 2^b by
themselves. A word of any other width is cut into lanes of 4, 2 and 1 bytes, the lowest first (72 bits: 4, 4,
1). Each lane is gathered in signed 64-bit integers, where lanes below 2^32 leave room for 2^30 vectors; one
pass at the end carries what a lane has too much, or borrows what it lacks, to the next. What leaves the last
lane is dropped: that is the reduction modulo 2^b.

No word is ever a Python integer here. Whoever calls has checked widths and lengths.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["NATIVE_OCTETS", "WordSum"]

NATIVE_OCTETS: Final = frozenset({1, 2, 4, 8})
"""Widths, in bytes, of NumPy's own integers."""


class WordSum:
    """A running sum of vectors of little-endian words, modulo 2^(8·octets).

    It can hold a contribution: it is made, added to and read within one function.

    Args:
        words: The first vector, a whole number of words; it is copied.
        octets: Bytes of a word, 1 to 32.
    """

    __slots__ = ("_octets", "_totals")

    def __init__(self, words: bytes | memoryview, octets: int) -> None:
        self._octets = octets
        self._totals: list[npt.NDArray[np.unsignedinteger | np.signedinteger]] = [
            lane.astype(lane.dtype if octets in NATIVE_OCTETS else np.int64) for lane in self._lanes(words)
        ]

    def add(self, words: bytes | memoryview) -> None:
        """Add a vector of the same length."""
        for total, lane in zip(self._totals, self._lanes(words), strict=True):
            np.add(total, lane, out=total)

    def subtract(self, words: bytes | memoryview) -> None:
        """Take a vector of the same length away."""
        for total, lane in zip(self._totals, self._lanes(words), strict=True):
            np.subtract(total, lane, out=total)

    def to_bytes(self) -> bytes:
        """The words of the sum, as contiguous little-endian bytes. Nothing is added after that."""
        if self._octets in NATIVE_OCTETS:
            return self._totals[0].tobytes()
        words = np.empty((len(self._totals[0]), self._octets), dtype=np.uint8)
        start = 0
        for place, (total, size) in enumerate(zip(self._totals, _lane_bytes(self._octets), strict=True)):
            if place + 1 < len(self._totals):
                # An arithmetic shift: a negative lane borrows from the next one.
                self._totals[place + 1] += total >> (8 * size)
            words[:, start : start + size].view(f"<u{size}")[:, 0] = total.astype(f"<u{size}")
            start += size
        return words.tobytes()

    def _lanes(self, words: bytes | memoryview) -> list[npt.NDArray[np.unsignedinteger]]:
        """Each lane of all words, in place: shape (count,), little-endian unsigned."""
        rows = np.frombuffer(words, dtype=np.uint8).reshape(-1, self._octets)
        lanes, start = [], 0
        for size in _lane_bytes(self._octets):
            lanes.append(rows[:, start : start + size].view(f"<u{size}")[:, 0])
            start += size
        return lanes


def _lane_bytes(octets: int) -> list[int]:
    """How a word is cut, lowest lane first."""
    if octets in NATIVE_OCTETS:
        return [octets]
    return [4] * (octets // 4) + [2] * (octets % 4 // 2) + [1] * (octets % 2)
