"""Medians and quartiles: what is said of a number of runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

__all__ = ["Spread", "paired_ratios", "spread_of"]


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
