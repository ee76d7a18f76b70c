"""How a column's values become what engines calculate with: the one place that says so, for every engine.

Numbers become whole steps of their resolution, dates whole days and timestamps whole seconds since
1970-01-01, all on 64-bit integers; texts and booleans stay what they are. So every engine that holds equal
values has equal steps, to the last bit.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from kapok.computations.engines import SOURCE
from kapok.documents.dataset import Column, Dataset

__all__ = ["encoded", "epoch", "steps"]

# Not 18, the digits of the largest value in steps: an engine multiplies within the type's own digits, and the
# value times 10^d has d more of them, until BIGINT takes the point away. 18 + 9 < 38, which engines have.
_DIGITS: Final = 38


def epoch() -> exp.Expr:
    """The day from which days are counted."""
    return exp.cast(exp.Literal.string("1970-01-01"), "DATE")


def steps(column: Column) -> exp.Expr:
    """The column of the relation `source` as whole steps, a text or a boolean."""
    source: exp.Expr = exp.column(column.name, quoted=True)
    match column.type:
        case "text":
            return exp.cast(source, "TEXT")
        case "boolean":
            return exp.cast(source, "BOOLEAN")
        case "integer":
            return exp.cast(source, "BIGINT")
        case "decimal":
            rounded = exp.cast(source, f"DECIMAL({_DIGITS}, {column.decimals})")
            factor = exp.Literal.number(10**column.decimals)
            return exp.cast(exp.Mul(this=rounded, expression=factor), "BIGINT")
        case "date":
            days = exp.Sub(this=exp.cast(source, "DATE"), expression=epoch())
            return exp.cast(exp.Paren(this=days), "BIGINT")
        case "timestamp":
            seconds = exp.Extract(this=exp.var("EPOCH"), expression=exp.cast(source, "TIMESTAMP"))
            return exp.cast(exp.Floor(this=seconds), "BIGINT")


def encoded(dataset: Dataset, columns: tuple[str, ...]) -> exp.Select:
    """A SELECT of these columns of `source`, encoded, each under its own name."""
    listed = [exp.alias_(steps(dataset.column(name)), name, quoted=True) for name in columns]
    return exp.select(*(listed or [exp.alias_(exp.Literal.number(1), "one", quoted=True)])).from_(
        exp.to_table(SOURCE)
    )
