"""The parameters of a later round of a search: in which interval the value at each rank lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from kapok.computations.query.params import Question
from kapok.computations.query.quantiles import PARTS, RANKS, span_of
from kapok.documents.dataset import Dataset
from kapok.errors import InvalidInput

__all__ = ["Interval", "Intervals", "encode_intervals", "read_intervals"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Values from one to another, as steps from the least that there can be.

    It is divided into at most `PARTS` parts of one width, a power of two that divides the beginning: so the
    thresholds of all intervals with the same width lie on one grid.

    Attributes:
        low: The least.
        high: The largest.
    """

    low: int
    high: int

    @property
    def width(self) -> int:
        """How many values each part has; the last may have fewer."""
        count = self.high - self.low + 1
        return 1 << (-(-count // PARTS) - 1).bit_length()

    @property
    def parts(self) -> range:
        """The parts by their number on the grid: a value's is its step divided by the width."""
        return range(self.low // self.width, self.high // self.width + 1)


Intervals: TypeAlias = tuple[Interval | None, ...]
"""Cell after cell, quantile after quantile, rank after rank; None where the search has ended: its words are
zeros."""


def encode_intervals(intervals: Intervals) -> bytes:
    """As they travel."""
    return msgspec.json.encode([None if one is None else (one.low, one.high) for one in intervals])


def read_intervals(question: Question, _dataset: Dataset, parameters: bytes) -> Intervals:
    """Read what `encode_intervals` wrote, and check that it can be of this question.

    Raises:
        InvalidInput: ``bad_parameters``, which says nothing of what is in them.
    """
    try:
        found = msgspec.json.decode(parameters, type=tuple[tuple[int, int] | None, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _bad() from None
    spans = [
        span_of(question.measures[result.measure].terms[0])
        for result in question.quantiles
        for _ in range(RANKS)
    ]
    if len(found) != question.cells * len(spans):
        raise _bad()
    intervals = tuple(None if pair is None else Interval(*pair) for pair in found)
    for span, one in zip(spans * question.cells, intervals, strict=True):
        if one is not None and not (0 <= one.low <= one.high <= span and one.low % one.width == 0):
            raise _bad()
    return intervals


def _bad() -> InvalidInput:
    return InvalidInput(
        "the parameters of this round are not those of a search for this question's quantiles",
        code="bad_parameters",
        remedy="see that both sides run the same version of Kapok",
    )
