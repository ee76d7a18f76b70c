"""Medians and quartiles: what is said of a number of runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Line", "Spread", "paired_ratios", "spread_of", "straight_line"]


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Median, the quartiles around it, and the extremes of some values.

    Attributes:
        median: Of all values.
        low: First quartile, interpolated between values (of one value, itself).
        high: Third quartile.
        least: The smallest value.
        most: The largest.
        count: How many values.
    """

    median: float
    low: float
    high: float
    least: float
    most: float
    count: int


def spread_of(values: Sequence[float]) -> Spread:
    """Summarise at least one value.

    Raises:
        ValueError: there is none.
    """
    if not values:
        raise ValueError("no values to summarise")
    low, median, high = (
        statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    )
    return Spread(median, low, high, min(values), max(values), len(values))


def paired_ratios(own: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """own[i] / baseline[i]: runs of one round stand to each other, for they met the same machine.

    Raises:
        ValueError: the two have not the same number of runs.
    """
    return [ours / theirs for ours, theirs in zip(own, baseline, strict=True)]


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through some costs.

    Attributes:
        fixed: Cost at size 0, never negative.
        slope: Cost for each unit of size.
        farthest: Largest distance of a point from the line, as a part of that point's cost.
    """

    fixed: float
    slope: float
    farthest: float


def straight_line(sizes: npt.NDArray[np.float64], costs: npt.NDArray[np.float64]) -> Line:
    """The line that is least off in relative terms, so that small sizes count as much as large ones.

    Args:
        sizes: Shape (n,), n at least 2, not all the same.
        costs: Shape (n,), positive.
    """
    columns = np.stack([1 / costs, sizes / costs], axis=1)
    fixed, slope = np.linalg.lstsq(columns, np.ones(len(costs)), rcond=None)[0]
    if fixed < 0:
        fixed, slope = 0.0, float(np.sum(sizes / costs) / np.sum((sizes / costs) ** 2))
    farthest = np.max(np.abs((fixed + slope * sizes) / costs - 1))
    return Line(float(fixed), float(slope), float(farthest))
