"""From counts on a grid to curves and their test. Pure arithmetic, in the field's own terms.

n_j at risk just before t_j, d_j events at it
S(t_j) = Π (1 - d_i / n_i)                 Var log S = Σ d_i / (n_i (n_i - d_i))    (Greenwood)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kapok.computations.design.report import normal_quantile

__all__ = ["Group", "Point", "log_rank", "median", "points"]

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Group:
    """What is known of one group.

    Attributes:
        name: Its value, as text.
        rows: How many rows it has; None when that is suppressed.
        leaving: For each time, as far as nothing before is suppressed, how many leave there.
        events: How many of these have the event.
    """

    name: str
    rows: int | None
    leaving: tuple[int, ...]
    events: tuple[int, ...]

    @property
    def at_risk(self) -> tuple[int, ...]:
        """How many are under observation just before each time."""
        found, left = [], self.rows or 0
        for leaving in self.leaving:
            found.append(left)
            left -= leaving
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Point:
    """One time of a curve; the interval is of the log-minus-log transform, as lifelines has it."""

    time: float
    at_risk: int
    events: int
    censored: int
    survival: float
    std_error: float
    low: float
    high: float


def points(group: Group, times: Sequence[float], level: float) -> list[Point]:
    """The curve of a group, as far as it is known."""
    found: list[Point] = []
    survival, spread, far = 1.0, 0.0, normal_quantile(level)
    steps = zip(times, group.at_risk, group.leaving, group.events, strict=False)
    for time, at_risk, leaving, events in steps:
        if events:
            survival *= (at_risk - events) / at_risk
            spread = math.inf if events == at_risk else spread + events / (at_risk * (at_risk - events))
        low, high = _band(survival, spread, far)
        error = survival * math.sqrt(spread) if survival else 0.0
        found.append(Point(time, at_risk, events, leaving - events, survival, error, low, high))
    return found


def _band(survival: float, spread: float, far: float) -> tuple[float, float]:
    if survival in (0.0, 1.0):
        return survival, survival
    log = math.log(survival)
    width = far * math.sqrt(spread) / log
    return survival ** math.exp(-width), survival ** math.exp(width)


def median(curve: Sequence[Point]) -> float | None:
    """The first time at which no more than half survive; None where more do to the end."""
    return next((point.time for point in curve if point.survival <= _HALF), None)


def log_rank(groups: Sequence[Group], until: int) -> tuple[list[float], float | None, int]:
    """Compare groups over the first so many times.

    Returns:
        The events that each group would have if none differed, χ², and its degrees of freedom. χ² is None
        where fewer than two groups are ever at risk, or nothing happens.
    """
    many = len(groups)
    expected, covariance = np.zeros(many), np.zeros((many, many))
    for place in range(until):
        at_risk = np.array([group.at_risk[place] for group in groups], dtype=float)
        events = float(sum(group.events[place] for group in groups))
        all_rows = float(at_risk.sum())
        if not events:
            continue
        share = at_risk / all_rows
        expected += events * share
        if all_rows > 1:
            factor = events * (all_rows - events) / (all_rows - 1)
            covariance += factor * (np.diag(share) - np.outer(share, share))
    observed = np.array([float(sum(group.events[:until])) for group in groups])
    # A group that is never at risk beside others has neither events nor variance.
    kept = np.flatnonzero(np.diag(covariance) > 0)[:-1]
    if not len(kept):
        return expected.tolist(), None, 0
    rest = (observed - expected)[kept]
    statistic = float(rest @ np.linalg.solve(covariance[np.ix_(kept, kept)], rest))
    return expected.tolist(), statistic, len(kept)
