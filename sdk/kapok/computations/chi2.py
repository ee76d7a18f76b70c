"""The tail of χ², in closed form: no library is needed for it."""

from __future__ import annotations

import math

__all__ = ["chi2_tail"]


def chi2_tail(statistic: float, degrees: int) -> float:
    """The probability that χ² with so many degrees of freedom is larger.

    Source: Abramowitz and Stegun (1964), 26.4.4 and 26.4.5.
    """
    if statistic <= 0:
        return 1.0
    half = statistic / 2
    first, total = (0.5, math.erfc(math.sqrt(half))) if degrees % 2 else (0.0, 0.0)
    places = [first + place for place in range(degrees // 2)]
    logs = [place * math.log(half) - math.lgamma(place + 1) for place in places]
    return min(1.0, total + math.fsum(math.exp(log - half) for log in logs))
