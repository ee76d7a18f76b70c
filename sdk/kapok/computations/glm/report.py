"""What came of a model: coefficients in the schema's units, and all that is said beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kapok.computations.design.report import LEVEL, ModelReport, normal_p_value, normal_quantile
from kapok.computations.reports import Reported, reported

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats
    from kapok.computations.design.newton import Estimate
    from kapok.computations.glm.params import Model
    from kapok.computations.glm.sums import Sums
    from kapok.documents.dataset import Dataset

__all__ = ["FitReport", "fitted", "lines_of", "quantile", "report_statistic", "without_fit"]


class FitReport(ModelReport, frozen=True, kw_only=True):
    """Everything that a fit says, but who took part.

    Attributes:
        schema: The dataset's document, for predictions.
        family: Of the response.
        link: Its link.
        status: ``converged``; ``not_converged`` or ``separated``, of the last round; else there is no fit:
            ``suppressed``, ``dependent_columns``, ``too_few_rows``.
        rows_used: Complete rows whose weight is above 0, over all holders.
        degrees: Rows used less coefficients.
        deviance, null_deviance, pearson: Sums over rows; the last is 0 where no dispersion is estimated.
        dispersion: 1, or Pearson's χ² by the degrees of freedom; of a negative binomial 1.
        log_likelihood: At the fit; None of a weighted gamma or where there is no fit.
        aic: Akaike's criterion, None likewise.
    """

    schema: str = ""
    family: str
    link: str
    degrees: int = 0
    deviance: float = 0.0
    null_deviance: float = 0.0
    pearson: float = 0.0
    dispersion: float = 1.0
    log_likelihood: float | None = None
    aic: float | None = None

    @property
    def by_t(self) -> bool:
        """Whether a coefficient is compared with Student's t, for its dispersion is estimated."""
        return self.family in ("gaussian", "gamma")


def _to_units(model: Model) -> Floats:
    """What takes coefficients of standardised columns to those of columns in the schema's units."""
    design = model.design
    transform = np.diag(1.0 / design.half)
    if design.intercept is not None:
        transform[design.intercept] -= design.centre / design.half
    return transform


def _log_likelihood(model: Model, sums: Sums, dispersion: float) -> float | None:
    match model.statement.family:
        case "gaussian":
            spread = sums.deviance / sums.used if model.statement.link == "identity" else dispersion
            if spread <= 0:
                return None
            return sums.saturated - (sums.deviance / spread + sums.used * math.log(2 * math.pi * spread)) / 2
        case "gamma":
            if model.weights is not None or dispersion <= 0:
                return None
            shape = 1 / dispersion
            each = shape * math.log(shape) - math.lgamma(shape)
            return shape * (-sums.deviance / 2 - sums.prior) + sums.prior * each + sums.saturated
        case _:
            return sums.saturated - sums.deviance / 2


def fitted(model: Model, dataset: Dataset, estimate: Estimate, sums: Sums) -> Reported:
    """The answer where a fit has ended, with the sums of the last round."""
    names = [column.name for column in model.design.columns]
    there = estimate.there
    degrees = sums.used - len(there)
    dispersion = sums.pearson / degrees if model.family.estimated and degrees > 0 else 1.0
    transform = _to_units(model)[np.ix_(there, there)]
    spread = dispersion * (transform @ estimate.covariance[np.ix_(there, there)] @ transform.T)
    likelihood = _log_likelihood(model, sums, dispersion)
    return _answer(
        FitReport(
            text=model.text,
            schema=dataset.to_payload().decode(),
            family=model.statement.family,
            link=model.statement.link,
            status=estimate.status,
            reasons=estimate.separating,
            names=tuple(names[place] for place in there),
            coefficients=tuple((transform @ estimate.at[there]).tolist()),
            covariance=tuple(spread.ravel().tolist()),
            rounds=estimate.rounds,
            rows_used=sums.used,
            rows_dropped=sums.dropped,
            degrees=degrees,
            deviance=sums.deviance,
            null_deviance=sums.null_deviance,
            pearson=sums.pearson,
            dispersion=dispersion,
            log_likelihood=likelihood,
            aic=None if likelihood is None else 2 * (len(there) - likelihood),
            absent=tuple(names[place] for place in estimate.absent),
        )
    )


def without_fit(
    model: Model, status: str, reasons: Sequence[str], rounds: int, used: int, dropped: int
) -> Reported:
    """The answer of a model that cannot be fitted, or must not."""
    return _answer(
        FitReport(
            text=model.text,
            family=model.statement.family,
            link=model.statement.link,
            status=status,
            reasons=tuple(reasons),
            rounds=rounds,
            rows_used=used,
            rows_dropped=dropped,
        )
    )


def _answer(report: FitReport) -> Reported:
    """The report, with one line for each coefficient."""
    lines = lines_of(report) if report.has_fit else []
    titles = ("estimate", "std_error", report_statistic(report), "p_value", "ci_low", "ci_high")
    numbers = {title: ("double", [line[place] for line in lines]) for place, title in enumerate(titles)}
    return reported(report, {"term": ("string", list(report.names[: len(lines)])), **numbers})


def report_statistic(report: FitReport) -> str:
    """What the coefficient by its standard error is called."""
    return "t" if report.by_t else "z"


def lines_of(report: FitReport, level: float = LEVEL) -> list[tuple[float, ...]]:
    """For each coefficient: estimate, standard error, statistic, p, and its confidence interval's ends."""
    far = quantile(report, level)
    lines: list[tuple[float, ...]] = []
    for estimate, error in zip(report.coefficients, report.errors, strict=True):
        statistic = estimate / error if error else math.inf
        p = _two_sided(report, statistic)
        lines.append((estimate, error, statistic, p, estimate - far * error, estimate + far * error))
    return lines


def quantile(report: FitReport, level: float) -> float:
    """How many standard errors a two-sided interval of that level reaches to either side."""
    if report.by_t:
        from scipy.special import stdtrit

        return float(stdtrit(report.degrees, 0.5 + level / 2))
    return normal_quantile(level)


def _two_sided(report: FitReport, statistic: float) -> float:
    if report.by_t:
        from scipy.special import stdtr

        return float(2 * stdtr(report.degrees, -abs(statistic)))
    return normal_p_value(statistic)
