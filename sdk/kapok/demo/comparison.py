"""An answer beside the pooled truth, cell by cell: counts and sums equal, averages within 1e-9 relative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from kapok.computations.query.params import Question

__all__ = ["Asked", "Comparison", "compare"]

AVERAGE_TOLERANCE: Final = 1e-9
_Group = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How an answer and the pooled truth stand to each other.

    Attributes:
        agree: Whether every cell that is shown is right, and no group is missing or too many.
        max_abs_difference: Largest absolute difference of a shown cell.
        shown: Number of cells compared.
        suppressed: Number of cells left out.
        groups: Which columns are those of GROUP BY, by their numbers.
        pooled: The truth, one row for each row of the answer; None where the truth has no such group.
    """

    agree: bool
    max_abs_difference: float
    shown: int
    suppressed: int
    groups: tuple[int, ...]
    pooled: tuple[tuple[Any, ...] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that was put to the hospitals, its answer, and how that stands to the truth.

    Attributes:
        sql: The question.
        answer: The answer's JSON document.
        shown: The answer as `kapok query` shows it.
        comparison: With the pooled truth.
        seconds: Of the analyst's whole process.
        peak_memory: Of that process, bytes.
    """

    sql: str
    answer: dict[str, Any]
    shown: str
    comparison: Comparison
    seconds: float
    peak_memory: int | None


def compare(
    question: Question,
    rows: Sequence[Sequence[Any]],
    suppressed: frozenset[tuple[int, str]],
    pooled: Sequence[tuple[Any, ...]],
) -> Comparison:
    """Compare the rows of an answer with those of the pooled truth.

    Args:
        question: What was asked; says which columns are groups, counts, sums and averages.
        rows: The answer's rows, cells in the order of SELECT.
        suppressed: Row numbers and column names of cells that are not shown.
        pooled: The truth, in any order.
    """
    keys = [index for index, item in enumerate(question.items) if item.kind == "group"]
    truth: dict[_Group, tuple[Any, ...]] = {_group(row, keys): row for row in pooled}
    agree = {_group(row, keys) for row in rows} >= set(truth)
    difference, shown = 0.0, 0
    beside: list[tuple[Any, ...] | None] = []
    for number, row in enumerate(rows):
        match = truth.get(_group(row, keys))
        beside.append(match)
        for index, item in enumerate(question.items):
            if index in keys or (number, item.name) in suppressed:
                continue
            shown += 1
            if match is None or (row[index] is None) != (match[index] is None):
                agree = False
            elif row[index] is not None:
                difference = max(difference, abs(float(row[index]) - float(match[index])))
                agree = agree and _equal(item.formula.type.name, row[index], match[index])
    return Comparison(agree, difference, shown, len(suppressed), tuple(keys), tuple(beside))


def _group(row: Sequence[Any], keys: Sequence[int]) -> _Group:
    return tuple(row[index] for index in keys)


def _equal(kind: str, mine: Any, truth: Any) -> bool:
    if kind == "float64":
        return abs(float(mine) - float(truth)) <= AVERAGE_TOLERANCE * max(abs(float(truth)), 1e-300)
    return Decimal(str(mine)) == Decimal(str(truth))
