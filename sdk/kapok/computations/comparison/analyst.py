"""The analyst's half: counts, averages and variances by group, or a cross-table → a test.

What a test needs and some holder suppresses leaves the test undone: without that group it would be another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kapok.computations.chi2 import chi2_tail
from kapok.computations.comparison.params import Comparison
from kapok.computations.query.analyst import Answer
from kapok.computations.reports import Report, Reported, reported

__all__ = ["TestReport", "answer"]

_LEAST: Final = 2


class TestReport(Report, frozen=True, kw_only=True):
    """What came of a test.

    Attributes:
        status: ``complete``; ``suppressed``; ``too_few_groups``, ``too_few_rows`` or ``constant``: there is
            nothing to test.
        test: ``t``, ``anova`` or ``chi2``.
        value: What is compared.
        group: Between which groups.
        statistic: t of Welch, F or χ²; None without a test.
        degrees: Its degrees of freedom; of F those between the groups.
        degrees_within: Of F those within the groups; else None.
        p_value: The probability of as much by chance, on both sides.
        difference: Of t the first group's average less the second's; else None.
        std_error: Of that difference.
        pooled_statistic, pooled_degrees, pooled_p_value: Of t with equal variances (Student).
        sum_between, sum_within: Of F, sums of squares.
        least_expected: Of χ² the least expected count: below 5 the test is a rough one.
    """

    test: str
    value: str
    group: str
    statistic: float | None = None
    degrees: float | None = None
    degrees_within: float | None = None
    p_value: float | None = None
    difference: float | None = None
    std_error: float | None = None
    pooled_statistic: float | None = None
    pooled_degrees: float | None = None
    pooled_p_value: float | None = None
    sum_between: float | None = None
    sum_within: float | None = None
    least_expected: float | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    """One group of values."""

    name: str
    rows: int
    mean: float
    variance: float


def answer(asked: Comparison, found: Answer) -> Reported:
    """Make a test of the answer to the SELECT."""
    return _cross_table(asked, found) if asked.statement.test == "chi2" else _means(asked, found)


def _report(asked: Comparison, status: str, **said: object) -> TestReport:
    names = [item.name for item in asked.question.items]
    is_table = asked.statement.test == "chi2"
    value = names[0] if is_table else names[2].removeprefix("avg_")
    return TestReport(
        text=asked.text,
        status=status,
        test=asked.statement.test,
        value=value,
        group=names[1] if is_table else names[0],
        **said,  # type: ignore[arg-type]  # as the fields are
    )


def _means(asked: Comparison, found: Answer) -> Reported:
    hidden = {row for row, _ in found.suppressed}
    names = tuple(
        str(row[0]) for number, row in enumerate(found.rows) if number in hidden and row[0] is not None
    )
    samples = [
        _Sample(
            str(row[0]), int(str(row[1])), float(str(row[2])), 0.0 if row[3] is None else float(str(row[3]))
        )
        for number, row in enumerate(found.rows)
        if number not in hidden and row[0] is not None
    ]
    status = _why_not(samples, names, asked.statement.test)
    made = {} if status != "complete" else (_t if asked.statement.test == "t" else _anova)(samples)
    report = _report(asked, status, reasons=names, **made)
    columns: dict[str, tuple[str, list[str] | list[int] | list[float]]] = {
        "group": ("string", [one.name for one in samples]),
        "rows": ("int64", [one.rows for one in samples]),
        "mean": ("double", [one.mean for one in samples]),
        "std_dev": ("double", [math.sqrt(one.variance) for one in samples]),
    }
    return reported(report, columns)


def _why_not(samples: Sequence[_Sample], hidden: tuple[str, ...], test: str) -> str:
    if hidden:
        return "suppressed"
    if len(samples) < _LEAST:
        return "too_few_groups"
    if test == "t" and len(samples) > _LEAST:
        return "too_many_groups"
    least = min(one.rows for one in samples)
    if sum(one.rows for one in samples) <= len(samples) or (test == "t" and least < _LEAST):
        return "too_few_rows"
    return "complete" if any(one.variance > 0 for one in samples) else "constant"


def _t(samples: Sequence[_Sample]) -> dict[str, float]:
    """Welch's t, and Student's with one variance.

    Source: Welch (1947), with Satterthwaite's degrees of freedom.
    """
    first, second = samples
    parts = [one.variance / one.rows for one in samples]
    error = math.sqrt(sum(parts))
    difference = first.mean - second.mean
    degrees = sum(parts) ** 2 / sum(
        part**2 / (one.rows - 1) for part, one in zip(parts, samples, strict=True)
    )
    free = first.rows + second.rows - 2
    variance = sum((one.rows - 1) * one.variance for one in samples) / free
    pooled = difference / math.sqrt(variance * (1 / first.rows + 1 / second.rows))
    return {
        "statistic": difference / error,
        "degrees": degrees,
        "p_value": _t_tails(difference / error, degrees),
        "difference": difference,
        "std_error": error,
        "pooled_statistic": pooled,
        "pooled_degrees": float(free),
        "pooled_p_value": _t_tails(pooled, free),
    }


def _anova(samples: Sequence[_Sample]) -> dict[str, float]:
    from scipy.special import fdtrc

    rows = sum(one.rows for one in samples)
    mean = math.fsum(one.rows * one.mean for one in samples) / rows
    between = math.fsum(one.rows * (one.mean - mean) ** 2 for one in samples)
    within = math.fsum((one.rows - 1) * one.variance for one in samples)
    degrees, rest = len(samples) - 1, rows - len(samples)
    statistic = (between / degrees) / (within / rest)
    return {
        "statistic": statistic,
        "degrees": float(degrees),
        "degrees_within": float(rest),
        "p_value": float(fdtrc(degrees, rest, statistic)),
        "sum_between": between,
        "sum_within": within,
    }


def _cross_table(asked: Comparison, found: Answer) -> Reported:
    hidden = {row for row, _ in found.suppressed}
    cells = [(number, row) for number, row in enumerate(found.rows) if None not in row[:2]]
    rows = list(dict.fromkeys(str(row[0]) for _, row in cells))
    columns = list(dict.fromkeys(str(row[1]) for _, row in cells))
    names = tuple(f"{row[0]} × {row[1]}" for number, row in cells if number in hidden)
    counts = np.zeros((len(rows), len(columns)))
    for number, row in cells:
        if number not in hidden:
            counts[rows.index(str(row[0])), columns.index(str(row[1]))] = float(str(row[2]))
    # What nobody has is no line of the table.
    kept = np.ix_(*(np.flatnonzero(counts.sum(axis=axis)) for axis in (1, 0)))
    table = counts[kept]
    made: dict[str, float] = {}
    status = "suppressed" if names else "complete"
    if status == "complete" and min(table.shape) < _LEAST:
        status = "too_few_groups"
    if status == "complete":
        made = _chi2(table)
    shown = [(number, row) for number, row in cells if number not in hidden]
    report = _report(asked, status, reasons=names, **made)
    listed: dict[str, tuple[str, list[str] | list[int] | list[float]]] = {
        report.value: ("string", [str(row[0]) for _, row in shown]),
        report.group + ("" if report.group != report.value else "_2"): (
            "string",
            [str(row[1]) for _, row in shown],
        ),
        "rows": ("int64", [int(str(row[2])) for _, row in shown]),
    }
    return reported(report, listed)


def _chi2(table: np.ndarray) -> dict[str, float]:
    """Pearson's χ², without Yates' correction."""
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
    return {
        "statistic": statistic,
        "degrees": float(degrees),
        "p_value": chi2_tail(statistic, degrees),
        "least_expected": float(expected.min()),
    }


def _t_tails(statistic: float, degrees: float) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(statistic)))
