"""Whether a sum tells too much of its largest contributor: the (n, k) rule and the p % rule.

    (n, k)   the n largest magnitudes are more than k % of the total of all
    p %      the total without the two largest is less than p % of the largest: the second-largest
             contributor, who takes its own value off the sum, knows the largest to within p %

Both are about the magnitudes that add up, so that values of both signs do not pass for a small total. A
total of zero has no contributor to tell of. Source: Hundepool et al., Statistical Disclosure Control, 2012,
section 4.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapok.computations.engines import Thresholds

__all__ = ["Magnitudes", "dominated", "largest_needed"]


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """What a holder knows of the magnitudes in one cell of one sum, in whole steps.

    Attributes:
        total: Sum of all.
        largest: The `largest_needed` largest, descending; all of them where there are fewer.
    """

    total: int
    largest: tuple[int, ...]


def largest_needed(thresholds: Thresholds) -> int:
    """How many of the largest magnitudes the rules look at; 0 without rules."""
    return max(
        thresholds.dominance.n if thresholds.dominance else 0, 0 if thresholds.p_percent is None else 2
    )


def dominated(magnitudes: Magnitudes, thresholds: Thresholds) -> str | None:
    """Which rule the cell breaks, in words for the holder's own log; None if it breaks none."""
    total, largest = magnitudes.total, magnitudes.largest
    if not total:
        return None
    rule = thresholds.dominance
    if rule is not None and 100 * sum(largest[: rule.n]) > rule.percent * total:
        return "a cell's sum is mostly of its largest contributors"
    p_percent = thresholds.p_percent
    if p_percent is not None and 100 * (total - sum(largest[:2])) < p_percent * largest[0]:
        return "a cell's sum tells its largest contributor too closely"
    return None
