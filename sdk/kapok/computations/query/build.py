"""The SELECT that a holder's engine runs, built anew from Kapok's own types in the engine's dialect.

Inside stands a projection of the used columns to plain types: texts, booleans, and numbers as whole steps
of their resolution. Everything outside calculates on 64-bit integers, so every engine gives the same
answer, exactly:

    SELECT t.sex, COUNT(*), COUNT(t.oldpeak), SUM(t.oldpeak), COUNT(CASE WHEN t.oldpeak <> 0 THEN 1 END)
    FROM (SELECT CAST(sex AS BIGINT) AS sex, CAST(CAST(oldpeak AS DECIMAL(38, 1)) * 10 AS BIGINT) AS oldpeak
          FROM source) AS t
    WHERE t.oldpeak > 15 GROUP BY t.sex
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from kapok.computations.engines import SOURCE
from kapok.computations.query.conditions import (
    AllOf,
    AnyOf,
    Arithmetic,
    Comparison,
    Condition,
    Field,
    Flag,
    Membership,
    Not,
    NullTest,
    Number,
    Operand,
    Text,
    Truth,
    TruthTest,
)
from kapok.computations.query.params import Question
from kapok.computations.query.ranges import Ranges
from kapok.documents.dataset import Column, Dataset

__all__ = ["engine_sql", "two_values"]

_ROWS: Final = "t"
# Not 18, the digits of the largest value in steps: an engine multiplies within the type's own digits, and the
# value times 10^d has d more of them, until BIGINT takes the point away. 18 + 9 < 38, which engines have.
_DIGITS: Final = 38
_COMPARISONS: Final[dict[str, type[exp.Binary]]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}
_ARITHMETIC: Final[dict[str, type[exp.Binary]]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}


def engine_sql(question: Question, dataset: Dataset, dialect: str) -> str:
    """The engine's SELECT.

    Returns:
        SQL text whose result has, for each group with rows: the group's values, COUNT(*), then for each
            measure of a column COUNT(column) and, where a sum is asked, its SUM in steps of the resolution
            and the number of its contributors (see `two_values`).
    """
    groups = [_column(name) for name in question.group_by]
    outputs: list[exp.Expr] = [*groups, exp.Count(this=exp.Star())]
    for measure in question.measures:
        if measure.column is None:
            continue
        outputs.append(exp.Count(this=_column(measure.column)))
        if measure.with_sum:
            column = dataset.column(measure.column)
            outputs += [exp.Sum(this=_number_of(column)), _contributors(column)]
    projections = [_projection(dataset.column(name)) for name in question.columns]
    inner = exp.select(*(projections or [exp.alias_(exp.Literal.number(1), "one", quoted=True)])).from_(
        exp.to_table(SOURCE)
    )
    select = exp.select(*outputs).from_(inner.subquery(_ROWS))
    if question.condition is not None:
        select = select.where(_Builder(dataset).condition(question.condition))
    if groups:
        select = select.group_by(*(group.copy() for group in groups))
    return select.sql(dialect=dialect)


def _column(name: str) -> exp.Column:
    return exp.column(name, table=_ROWS, quoted=True)


def _projection(column: Column) -> exp.Expr:
    source = exp.column(column.name, quoted=True)
    value: exp.Expr
    match column.type:
        case "text":
            value = exp.cast(source, "TEXT")
        case "boolean":
            value = exp.cast(source, "BOOLEAN")
        case "date" | "timestamp":
            value = exp.cast(source, column.type.upper())
        case "integer":
            value = exp.cast(source, "BIGINT")
        case "decimal":
            rounded = exp.cast(source, f"DECIMAL({_DIGITS}, {column.decimals})")
            factor = exp.Literal.number(10**column.decimals)
            value = exp.cast(exp.Mul(this=rounded, expression=factor), "BIGINT")
    return exp.alias_(value, column.name, quoted=True)


def _number_of(column: Column) -> exp.Expr:
    field = _column(column.name)
    if column.type != "boolean":
        return field
    return exp.Case().when(field, exp.Literal.number(1)).when(exp.not_(field.copy()), exp.Literal.number(0))


def two_values(column: Column) -> tuple[int, int] | None:
    """The two numbers that a column can have, the lower first; None where it can have more or fewer.

    The *contributors* of a sum are the rows that have the higher of the two, and else those that are not
    zero.
    """
    low, high = column.step_bounds
    several = len(column.domain) if column.domain is not None else high - low + 1
    return (low, high) if several == 2 else None


def _contributors(column: Column) -> exp.Expr:
    field = _column(column.name)
    both = two_values(column)
    test: exp.Expr
    if column.type == "boolean":
        test = field
    elif both is not None:
        test = exp.EQ(this=field, expression=_bigint(both[1]))
    else:
        test = exp.NEQ(this=field, expression=_bigint(0))
    return exp.Count(this=exp.Case().when(test, exp.Literal.number(1)))


def _bigint(number: int) -> exp.Expr:
    literal: exp.Expr = exp.Literal.number(abs(number))
    return exp.cast(exp.Paren(this=exp.Neg(this=literal)) if number < 0 else literal, "BIGINT")


class _Builder:
    """Builds one WHERE clause; nothing in it can overflow, for ranges were checked when parsing."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._ranges = Ranges(dataset)

    def condition(self, condition: Condition) -> exp.Expr:
        match condition:
            case Comparison(operator, left, right):
                one, other = self._pair(left, right)
                return _COMPARISONS[operator](this=one, expression=other)
            case Membership(operand, values):
                return self._membership(operand, values)
            case NullTest(operand):
                return exp.Is(this=_paren(self._value(operand)), expression=exp.Null())
            case Flag(name):
                return _column(name)
            case Truth(value):
                return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(int(value)))
            case TruthTest(inner, expected):
                return exp.Is(this=_paren(self.condition(inner)), expression=exp.Boolean(this=expected))
            case Not(inner):
                return exp.Not(this=_paren(self.condition(inner)))
            case AllOf(conditions):
                return _chain(exp.And, [self.condition(part) for part in conditions])
            case AnyOf(conditions):
                return _chain(exp.Or, [self.condition(part) for part in conditions])

    def _membership(self, operand: Operand, values: tuple[Number | Text | Truth, ...]) -> exp.Expr:
        if not self._is_number(operand):
            return exp.In(this=self._value(operand), expressions=[self._value(value) for value in values])
        decimals = max(self._decimals(part) for part in (operand, *values))
        return exp.In(
            this=_paren(self._steps(operand, decimals)),
            expressions=[self._steps(value, decimals) for value in values],
        )

    def _pair(self, left: Operand, right: Operand) -> tuple[exp.Expr, exp.Expr]:
        if not self._is_number(left):
            return self._value(left), self._value(right)
        decimals = max(self._decimals(left), self._decimals(right))
        return self._steps(left, decimals), self._steps(right, decimals)

    def _is_number(self, operand: Operand) -> bool:
        match operand:
            case Text() | Truth():
                return False
            case Field(name):
                return self._dataset.column(name).type in ("integer", "decimal")
            case _:
                return True

    def _decimals(self, operand: Operand) -> int:
        return self._ranges.of(operand).decimals

    def _value(self, operand: Operand) -> exp.Expr:
        match operand:
            case Field(name):
                return _column(name)
            case Text(value):
                return exp.Literal.string(value)
            case Truth(value):
                return exp.Boolean(this=value)
            case Number() | Arithmetic():
                return self._steps(operand, self._decimals(operand))

    def _steps(self, operand: Operand, decimals: int) -> exp.Expr:
        """The number in steps of ``10^-decimals``, at least as fine as its own."""
        match operand:
            case Number(units, own):
                return _bigint(units * 10 ** (decimals - own))
            case Arithmetic("*", left, right):
                product = exp.Mul(
                    this=_paren(self._steps(left, self._decimals(left))),
                    expression=_paren(self._steps(right, self._decimals(right))),
                )
                return _finer(product, decimals - self._decimals(operand))
            case Arithmetic(operator, left, right):
                own = self._decimals(operand)
                whole = _ARITHMETIC[operator](
                    this=_paren(self._steps(left, own)), expression=_paren(self._steps(right, own))
                )
                return _finer(whole, decimals - own)
            case _:
                return _finer(self._value(operand), decimals - self._decimals(operand))


def _paren(inner: exp.Expr) -> exp.Paren:
    # Not exp.paren, which copies: level by level that takes the square of the depth.
    return exp.Paren(this=inner)


def _finer(value: exp.Expr, decimals: int) -> exp.Expr:
    if not decimals:
        return value
    return exp.Mul(this=_paren(value), expression=_bigint(10**decimals))


def _chain(kind: type[exp.And] | type[exp.Or], parts: list[exp.Expr]) -> exp.Expr:
    chained: exp.Expr = _paren(parts[0])
    for part in parts[1:]:
        chained = kind(this=chained, expression=_paren(part))
    return chained
