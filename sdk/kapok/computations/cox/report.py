"""What came of proportional hazards: coefficients in the schema's units, and all that is said beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kapok.computations.chi2 import chi2_tail
from kapok.computations.design.report import ModelReport, normal_p_value, normal_quantile
from kapok.computations.reports import Reported, reported

if TYPE_CHECKING:
    from kapok.computations.cox.likelihood import Likelihood
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.newton import Estimate

__all__ = ["HazardsReport", "fitted", "without_fit"]


class HazardsReport(ModelReport, frozen=True, kw_only=True):
    """Everything that a fit says, but who took part. Coefficients are logarithms of hazard ratios.

    Attributes:
        status: ``complete``: it has converged; ``not_converged`` or ``separated``: of the last round; else
            there is no fit: ``suppressed``, ``dependent_columns``, ``too_few_rows``, ``no_events``.
        events: Up to the last time of the grid.
        log_likelihood: Partial, Breslow's, at the fit.
        null_log_likelihood: Where no column has an effect.
        times: The grid.
        baseline: Breslow's cumulative hazard of a row whose columns are all zero, at each time.
    """

    events: int = 0
    log_likelihood: float | None = None
    null_log_likelihood: float | None = None
    times: tuple[float, ...] = ()
    baseline: tuple[float, ...] = ()

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


def fitted(model: Hazards, estimate: Estimate, null: float, sums: Likelihood) -> Reported:
    """The answer where a fit has ended, with the sums of the last round.

    Args:
        model: As asked.
        estimate: Where it has ended.
        null: The likelihood's logarithm where no column has an effect.
        sums: What the last round told.
    """
    half, centre = model.design.half, model.design.centre
    coefficients = estimate.at / half
    shift = math.exp(-float(coefficients @ centre))
    there = estimate.there
    covariance = (estimate.covariance / np.outer(half, half))[np.ix_(there, there)]
    report = HazardsReport(
        text=model.text,
        status="complete" if estimate.status == "converged" else estimate.status,
        reasons=estimate.separating,
        names=tuple(model.names[place] for place in there),
        coefficients=tuple(coefficients[there].tolist()),
        covariance=tuple(covariance.ravel().tolist()),
        rounds=estimate.rounds,
        rows_used=sums.used,
        rows_dropped=sums.dropped,
        events=sums.events,
        log_likelihood=sums.value,
        null_log_likelihood=null,
        times=model.times,
        baseline=tuple((np.cumsum(sums.hazard) * shift).tolist()),
        absent=tuple(model.names[place] for place in estimate.absent),
    )
    return _answer(report)


def _answer(report: HazardsReport) -> Reported:
    far = normal_quantile()
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
            "p_value": ("double", [normal_p_value(one) for one in statistics]),
            "ci_low": ("double", [estimate - far * error for estimate, error in pairs]),
            "ci_high": ("double", [estimate + far * error for estimate, error in pairs]),
        },
    )


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
