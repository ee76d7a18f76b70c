"""What came of proportional hazards: coefficients in the schema's units, and all that is said beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from kapok.computations.chi2 import chi2_tail
from kapok.computations.reports import Report, Reported, reported

if TYPE_CHECKING:
    from kapok.computations.cox.analyst import Likelihood
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.columns import Floats

__all__ = ["HazardsReport", "fitted", "without_fit"]

LEVEL: Final = 0.95


class HazardsReport(Report, frozen=True, kw_only=True):
    """Everything that a fit says, but who took part.

    Attributes:
        status: ``complete``: it has converged; ``not_converged`` or ``separated``: of the last round; else
            there is no fit: ``suppressed``, ``dependent_columns``, ``too_few_rows``, ``no_events``.
        names: Of the coefficients.
        coefficients: Logarithms of hazard ratios, in the schema's units; empty without a fit.
        covariance: Of the coefficients, line after line.
        rounds: How many it took.
        rows_used: Complete rows, over all holders.
        rows_dropped: Rows that lacked something, or had a level that the model does not list.
        events: Up to the last time of the grid.
        log_likelihood: Partial, Breslow's, at the fit.
        null_log_likelihood: Where no column has an effect.
        times: The grid.
        baseline: Breslow's cumulative hazard of a row whose columns are all zero, at each time.
        absent: Columns of levels that no row has: left out.
    """

    names: tuple[str, ...] = ()
    coefficients: tuple[float, ...] = ()
    covariance: tuple[float, ...] = ()
    rounds: int = 0
    rows_used: int = 0
    rows_dropped: int = 0
    events: int = 0
    log_likelihood: float | None = None
    null_log_likelihood: float | None = None
    times: tuple[float, ...] = ()
    baseline: tuple[float, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[float, ...]:
        """Standard errors of the coefficients."""
        matrix = np.array(self.covariance).reshape(len(self.coefficients), len(self.coefficients))
        return tuple(np.sqrt(np.maximum(np.diag(matrix), 0.0)).tolist())

    @property
    def ratio_test(self) -> tuple[float, int, float] | None:
        """χ² of the likelihood ratio, its degrees of freedom and its p; None without a fit."""
        if self.log_likelihood is None or self.null_log_likelihood is None:
            return None
        statistic = max(0.0, 2 * (self.log_likelihood - self.null_log_likelihood))
        return statistic, len(self.names), chi2_tail(statistic, len(self.names))


def without_fit(
    model: Hazards, status: str, reasons: Sequence[str], rounds: int, sums: Likelihood | None
) -> Reported:
    """The answer of a model that cannot be fitted, or must not."""
    report = HazardsReport(
        text=model.text,
        status=status,
        reasons=tuple(reasons),
        rounds=rounds,
        rows_used=0 if sums is None else sums.used,
        rows_dropped=0 if sums is None else sums.dropped,
        events=0 if sums is None else sums.events,
    )
    return _answer(report)


def fitted(
    model: Hazards,
    status: str,
    reasons: Sequence[str],
    rounds: int,
    at: Floats,
    covariance: Floats,
    null: float,
    sums: Likelihood,
) -> Reported:
    """The answer at coefficients of the standardised columns, with the sums of the last round."""
    half, centre = model.design.half, model.design.centre
    coefficients = at / half
    shift = math.exp(-float(coefficients @ centre))
    there = [place for place in range(len(at)) if place not in sums.absent]
    covariance = (covariance / np.outer(half, half))[np.ix_(there, there)]
    report = HazardsReport(
        text=model.text,
        status=status,
        reasons=tuple(reasons),
        names=tuple(model.names[place] for place in there),
        coefficients=tuple(coefficients[there].tolist()),
        covariance=tuple(covariance.ravel().tolist()),
        rounds=rounds,
        rows_used=sums.used,
        rows_dropped=sums.dropped,
        events=sums.events,
        log_likelihood=sums.value,
        null_log_likelihood=null,
        times=model.times,
        baseline=tuple((np.cumsum(sums.hazard) * shift).tolist()),
        absent=tuple(model.names[place] for place in sums.absent),
    )
    return _answer(report)


def _answer(report: HazardsReport) -> Reported:
    far = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    pairs = list(zip(report.coefficients, report.errors, strict=True))
    statistics = [estimate / error if error else math.inf for estimate, error in pairs]
    return reported(
        report,
        {
            "term": ("string", list(report.names[: len(pairs)])),
            "estimate": ("double", [estimate for estimate, _ in pairs]),
            "hazard_ratio": ("double", [_exp(estimate) for estimate, _ in pairs]),
            "std_error": ("double", [error for _, error in pairs]),
            "z": ("double", statistics),
            "p_value": ("double", [math.erfc(abs(one) / math.sqrt(2)) for one in statistics]),
            "ci_low": ("double", [estimate - far * error for estimate, error in pairs]),
            "ci_high": ("double", [estimate + far * error for estimate, error in pairs]),
        },
    )


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
