"""Where what lies in a contribution, and fixed point: floats as whole multiples of one step, added exactly.

    word = round(w · a · scale),   scale = 2^(b−1) · (1 − 2^−10) ÷ (range · examples)

With |a| ≤ range at every node and Σ w ≤ examples no sum wraps. The mean of n nodes is then off by at most
n ÷ (2 · scale · Σ w): half a step for each node. The few numbers of the head are exact beyond what float64
holds: they lie in limbs of 16 bits, of which 256 add up within any width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kapok.protocols.secure_sum.params import MOST_MEMBERS, MOST_WORDS

__all__ = [
    "HEAD_WORDS",
    "MOST_METRICS",
    "MOST_NAME_BYTES",
    "MOST_VALUES",
    "ONE_NUMBER",
    "Head",
    "Layout",
    "read_head",
    "write_head",
]

MOST_NAME_BYTES: Final = 512
"""Of all names of records and metrics together, as JSON."""
MOST_METRICS: Final = 32
"""Numbers of all metrics together; a list has several."""

ONE_NUMBER: Final = -1
"""Stands for the length of a metric that is a number, and no list of one."""

_LIMB_BITS: Final = 16
_LIMBS: Final = 6
_SIGN: Final = 1 << (_LIMB_BITS * _LIMBS - 1)
_FRACTION_BITS: Final = 32
_MOST_MAGNITUDE: Final = 2.0**54
HEAD_WORDS: Final = 2 + _LIMBS + 2 * MOST_NAME_BYTES + MOST_METRICS * _LIMBS
MOST_VALUES: Final = MOST_WORDS - HEAD_WORDS
_MARGIN: Final = 1 - 2.0**-10
_BLOCK: Final = 1 << 16
"""Values that are encoded at once: what is in between stays in the cache."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a contribution, or the sum of some, says besides arrays.

    Attributes:
        withheld: Whether any holder has withheld its own; then nothing else means anything.
        holders: How many have contributed.
        weight: Their weights' sum.
        names: What they say of names, where all say the same; None where they differ.
        metrics: Σ w·metric, in the order of the names.
    """

    withheld: bool
    holders: int
    weight: float
    names: bytes | None
    metrics: tuple[float, ...]


def write_head(weight: float, names: bytes, metrics: Sequence[float]) -> npt.NDArray[np.int64]:
    """The head of one holder's contribution, `HEAD_WORDS` integers.

    Args:
        weight: Positive, below 2^54.
        names: At most `MOST_NAME_BYTES`.
        metrics: At most `MOST_METRICS`; each times the weight is below 2^54 in magnitude.

    Raises:
        ValueError: one of these is out of bounds.
    """
    weighted = [weight * one for one in metrics]
    if len(names) > MOST_NAME_BYTES or len(weighted) > MOST_METRICS:
        raise ValueError("too many names or metrics")
    if not all(abs(one) < _MOST_MAGNITUDE for one in (weight, *weighted)):
        raise ValueError("a number is too large")
    text = np.zeros(MOST_NAME_BYTES, dtype=np.int64)
    text[: len(names)] = np.frombuffer(names, dtype=np.uint8)
    padded = weighted + [0.0] * (MOST_METRICS - len(weighted))
    limbs = [limb for number in (weight, *padded) for limb in _limbs(number)]
    return np.concatenate(([0, 1], limbs[:_LIMBS], text, text * text, limbs[_LIMBS:])).astype(np.int64)


def read_head(words: npt.NDArray[np.int64]) -> Head:
    """The head of a sum."""
    withheld, holders = bool(words[0]), int(words[1])
    # What was withheld is uniform: where flags add up to 0, the number of holders still tells.
    if withheld or not 1 <= holders <= MOST_MEMBERS:
        return Head(True, holders, 0.0, None, ())
    place = 2 + _LIMBS
    text, squares = (
        words[place : place + MOST_NAME_BYTES],
        words[place + MOST_NAME_BYTES : place + 2 * MOST_NAME_BYTES],
    )
    # n Σ c² = (Σ c)² exactly if all c are equal (Cauchy and Schwarz).
    same = bool(np.all(holders * squares == text * text))
    names = (text // holders).astype(np.uint8).tobytes().rstrip(b"\0") if same else None
    numbers = words[place + 2 * MOST_NAME_BYTES :].reshape(MOST_METRICS, _LIMBS)
    return Head(
        False,
        holders,
        _number(words[2:place], holders),
        names,
        tuple(_number(limbs, holders) for limbs in numbers),
    )


def _limbs(number: float) -> Iterable[int]:
    whole = round(math.ldexp(number, _FRACTION_BITS)) + _SIGN
    return [(whole >> (_LIMB_BITS * place)) & ((1 << _LIMB_BITS) - 1) for place in range(_LIMBS)]


def _number(limbs: npt.NDArray[np.int64], holders: int) -> float:
    whole = sum(limb << (_LIMB_BITS * place) for place, limb in enumerate(limbs.tolist())) - holders * _SIGN
    return float(whole) / float(1 << _FRACTION_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Of the arrays in a contribution.

    Attributes:
        integer: For each array its number of values, and whether they are integers.
        bits: Width b of a word, 32 or 64.
        value_range: Largest magnitude of a value of a float array.
        integer_range: Likewise of an array of integers.
        examples: Most that all weights add up to.
    """

    integer: tuple[tuple[int, bool], ...]
    bits: int
    value_range: float
    integer_range: float
    examples: float

    @property
    def words(self) -> int:
        """Number of words of a contribution."""
        return HEAD_WORDS + sum(size for size, _ in self.integer)

    def bound(self, *, integer: bool) -> float:
        """Largest magnitude of a value."""
        return self.integer_range if integer else self.value_range

    def scale(self, *, integer: bool) -> float:
        """Steps to 1 of weight times value."""
        return 2.0 ** (self.bits - 1) * _MARGIN / (self.bound(integer=integer) * self.examples)

    def resolution(self, holders: int, weight: float) -> float:
        """Most by which a value of a float array's mean is off, for weights that add up to this."""
        return holders / (2 * self.scale(integer=False) * weight)

    def encode(self, arrays: Sequence[npt.NDArray[Any]], weight: float) -> bytes:
        """w·arrays as little-endian words, in order; the values have been checked to be within bounds."""
        target = np.dtype(f"<i{self.bits // 8}")
        words = np.empty(sum(size for size, _ in self.integer), dtype=target)
        place = 0
        for array, (size, integer) in zip(arrays, self.integer, strict=True):
            factor, flat = weight * self.scale(integer=integer), array.reshape(-1)
            for start in range(0, size, _BLOCK):
                block = flat[start : start + _BLOCK].astype(np.float64)
                block *= factor
                np.rint(block, out=block)
                words[place + start : place + start + len(block)] = block
            place += size
        return words.tobytes()

    def decode(self, words: bytes | memoryview, weight: float) -> list[npt.NDArray[np.float64]]:
        """The means of the arrays, flat, from the words of a sum."""
        flat, place, means = np.frombuffer(words, dtype=f"<i{self.bits // 8}"), 0, []
        for size, integer in self.integer:
            means.append(flat[place : place + size] / (self.scale(integer=integer) * weight))
            place += size
        return means
