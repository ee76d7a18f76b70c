"""What the reports of fitted models have in common: coefficients, how sure they are, and over which rows."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from kapok.computations.reports import Report

__all__ = ["LEVEL", "ModelReport", "normal_p_value", "normal_quantile"]

LEVEL: Final = 0.95
"""Of confidence intervals, where nobody asks for another."""


class ModelReport(Report, frozen=True, kw_only=True):
    """What every fit says, but who took part.

    Attributes:
        names: Of the coefficients.
        coefficients: In the schema's units; empty without a fit.
        covariance: Of the coefficients, line after line.
        rounds: How many it took.
        rows_used: Complete rows that count, over all holders.
        rows_dropped: Rows that lacked something, or had a level that the model does not list.
        absent: Columns of levels that no row has: left out.
    """

    names: tuple[str, ...] = ()
    coefficients: tuple[float, ...] = ()
    covariance: tuple[float, ...] = ()
    rounds: int = 0
    rows_used: int = 0
    rows_dropped: int = 0
    absent: tuple[str, ...] = ()

    @property
    def has_fit(self) -> bool:
        """Whether there are coefficients."""
        return bool(self.coefficients)

    @property
    def errors(self) -> tuple[float, ...]:
        """Standard errors of the coefficients."""
        matrix = np.array(self.covariance).reshape(len(self.coefficients), len(self.coefficients))
        return tuple(np.sqrt(np.maximum(np.diag(matrix), 0.0)).tolist())


def normal_quantile(level: float = LEVEL) -> float:
    """How many standard errors a two-sided interval of that level reaches to either side."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def normal_p_value(statistic: float) -> float:
    """The probability of so many standard errors or more, to either side."""
    return math.erfc(abs(statistic) / math.sqrt(2))
