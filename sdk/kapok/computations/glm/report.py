"""What came of a model: coefficients in the schema's units and all that is said beside, as an Arrow table.

The table has one line for each coefficient; its metadata have the rest as JSON under ``kapok.glm``, so that a
file of it is the whole fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from kapok.computations.design.columns import Floats
    from kapok.computations.glm.analyst import Sums
    from kapok.computations.glm.params import Model
    from kapok.documents.dataset import Dataset

__all__ = ["METADATA", "FitAnswer", "Report", "answer_of", "quantile", "without_fit"]

METADATA: Final = b"kapok.glm"
LEVEL: Final = 0.95


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a fit says, but who took part.

    Attributes:
        text: The model's canonical text.
        schema: The dataset's document, for predictions.
        family: Of the response.
        link: Its link.
        status: ``converged``; ``not_converged`` or ``separated``, of the last round; else there is no fit:
            ``suppressed``, ``dependent_columns``, ``too_few_rows``.
        reasons: The columns or rules that the status is about.
        names: Of the coefficients.
        coefficients: In the schema's units; empty without a fit.
        covariance: Of the coefficients, line after line.
        rounds: How many it took.
        rows_used: Complete rows whose weight is above 0, over all holders.
        rows_dropped: Rows that lacked something, or had a level that the model does not list.
        degrees: Rows used less coefficients.
        deviance, null_deviance, pearson: Sums over rows.
        dispersion: 1, or Pearson's χ² by the degrees of freedom; of a negative binomial 1.
        log_likelihood: At the fit; None of a weighted gamma or where there is no fit.
        aic: Akaike's criterion, None likewise.
    """

    text: str
    schema: str = ""
    family: str
    link: str
    status: str
    reasons: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    coefficients: tuple[float, ...] = ()
    covariance: tuple[float, ...] = ()
    rounds: int = 0
    rows_used: int = 0
    rows_dropped: int = 0
    degrees: int = 0
    deviance: float = 0.0
    null_deviance: float = 0.0
    pearson: float = 0.0
    dispersion: float = 1.0
    log_likelihood: float | None = None
    aic: float | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        dataset: Dataset,
        status: str,
        reasons: tuple[str, ...],
        rounds: int,
        at: Floats,
        covariance: Floats,
        sums: Sums,
    ) -> Report:
        """What a round's sum says at coefficients of the standardised columns."""
        degrees = sums.used - len(at)
        dispersion = sums.pearson / degrees if model.family.estimated and degrees > 0 else 1.0
        transform = _to_units(model)
        likelihood = _log_likelihood(model, sums, dispersion)
        return cls(
            text=model.text,
            schema=dataset.to_payload().decode(),
            family=model.statement.family,
            link=model.statement.link,
            status=status,
            reasons=reasons,
            names=tuple(column.name for column in model.design.columns),
            coefficients=tuple((transform @ at).tolist()),
            covariance=tuple((dispersion * (transform @ covariance @ transform.T)).ravel().tolist()),
            rounds=rounds,
            rows_used=sums.used,
            rows_dropped=sums.dropped,
            degrees=degrees,
            deviance=sums.deviance,
            null_deviance=sums.null_deviance,
            pearson=sums.pearson,
            dispersion=dispersion,
            log_likelihood=likelihood,
            aic=None if likelihood is None else 2 * (len(at) - likelihood),
        )

    @property
    def has_fit(self) -> bool:
        """Whether there are coefficients."""
        return bool(self.coefficients)

    @property
    def errors(self) -> tuple[float, ...]:
        """Standard errors."""
        matrix = np.array(self.covariance).reshape(len(self.names), len(self.names))
        return tuple(np.sqrt(np.maximum(np.diag(matrix), 0.0)).tolist())

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


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """An opened fit, or why there is none.

    Attributes:
        table: As `answer_of` makes it.
        suppressed: Nothing: a suppressed model has no cells.
    """

    table: pa.Table
    suppressed: tuple[tuple[int, str], ...] = ()

    def to_arrow(self) -> pa.Table:
        """The table."""
        return self.table


def without_fit(
    model: Model, status: str, reasons: tuple[str, ...], rounds: int, used: int, dropped: int
) -> FitAnswer:
    """The answer of a model that cannot be fitted, or must not."""
    return answer_of(
        Report(
            text=model.text,
            family=model.statement.family,
            link=model.statement.link,
            status=status,
            reasons=reasons,
            rounds=rounds,
            rows_used=used,
            rows_dropped=dropped,
        )
    )


def answer_of(report: Report) -> FitAnswer:
    """The report as a table."""
    import pyarrow as pa

    lines = lines_of(report) if report.has_fit else []
    builder = pa.lib.StringBuilder()
    for name in report.names[: len(lines)]:
        builder.append(name)
    titles = ("estimate", "std_error", report_statistic(report), "p_value", "ci_low", "ci_high")
    arrays = [builder.finish()]
    # By way of NumPy: `pyarrow.array` of a list would import pandas wherever that is installed.
    arrays += [pa.array(np.array([line[place] for line in lines], dtype=np.float64)) for place in range(6)]
    table = pa.Table.from_arrays(arrays, names=["term", *titles])
    return FitAnswer(table.replace_schema_metadata({METADATA: msgspec.json.encode(report)}))


def report_statistic(report: Report) -> str:
    """What the coefficient by its standard error is called."""
    return "t" if report.by_t else "z"


def lines_of(report: Report, level: float = LEVEL) -> list[tuple[float, ...]]:
    """For each coefficient: estimate, standard error, statistic, p, and its confidence interval's ends."""
    far = quantile(report, level)
    lines: list[tuple[float, ...]] = []
    for estimate, error in zip(report.coefficients, report.errors, strict=True):
        statistic = estimate / error if error else math.inf
        p = _two_sided(report, statistic)
        lines.append((estimate, error, statistic, p, estimate - far * error, estimate + far * error))
    return lines


def quantile(report: Report, level: float) -> float:
    """How many standard errors a two-sided interval of that level reaches to either side."""
    if report.by_t:
        from scipy.special import stdtrit

        return float(stdtrit(report.degrees, 0.5 + level / 2))
    return NormalDist().inv_cdf(0.5 + level / 2)


def _two_sided(report: Report, statistic: float) -> float:
    if report.by_t:
        from scipy.special import stdtr

        return float(2 * stdtr(report.degrees, -abs(statistic)))
    return math.erfc(abs(statistic) / math.sqrt(2))
