"""What an analyst wrote, as a tree of Kapok's own: expressions before anything is known of the dataset.

Numbers are exact: a literal is a whole number of units of a power of ten. Synonyms are gone (``STDDEV`` is
``stddev_samp``, ``EXTRACT(year FROM d)`` is ``year``), operators are calls by their sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = [
    "COMPARISONS",
    "Aggregate",
    "Call",
    "Case",
    "Day",
    "Expression",
    "Group",
    "Moment",
    "Name",
    "Null",
    "Number",
    "Order",
    "Selected",
    "Span",
    "Statement",
    "Text",
    "Truth",
    "Unit",
    "parts_of",
    "walk",
]


Unit: TypeAlias = Literal["second", "minute", "hour", "day", "week"]

COMPARISONS: Final = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Signs that compare, each with the one that says the same with its sides exchanged."""


@dataclass(frozen=True, slots=True)
class Name:
    """A column, or another name that the question gives."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """The number ``units · 10^-decimals``, with as few decimals as it needs."""

    units: int
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A text in single quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """TRUE or FALSE."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """NULL, as a branch of CASE or an argument of COALESCE."""


@dataclass(frozen=True, slots=True)
class Day:
    """``DATE '2013-01-01'``, as days since 1970-01-01."""

    days: int


@dataclass(frozen=True, slots=True)
class Moment:
    """``TIMESTAMP '2013-01-01 05:00:00'``, as seconds since 1970-01-01, without a time zone."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Span:
    """``INTERVAL 3 DAY``, to be added to a day or a moment."""

    amount: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function with its arguments.

    Operators: ``+ - * / % neg || = <> < <= > >= and or not in between like ilike``, ``is null``, ``is true``,
    ``is false``; ``and`` and ``or`` have two or more arguments, none of them of the same operator.
    """

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """``CASE [operand] WHEN … THEN … [ELSE …] END``."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function, of the rows that `condition` keeps. ``COUNT(*)`` has no arguments."""

    name: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    condition: Expression | None = None


Expression: TypeAlias = Name | Number | Text | Truth | Null | Day | Moment | Span | Call | Case | Aggregate


@dataclass(frozen=True, slots=True)
class Selected:
    """One item of SELECT, with the name that AS gives it."""

    expression: Expression
    alias: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """One element of GROUP BY: an expression, or lists of expressions in ROLLUP, CUBE or GROUPING SETS."""

    kind: Literal["plain", "rollup", "cube", "sets"]
    lists: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One element of ORDER BY."""

    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A whole SELECT.

    Attributes:
        source: What stands after FROM, and whether in double quotes.
    """

    selected: tuple[Selected, ...]
    source: tuple[str, bool]
    where: Expression | None = None
    groups: tuple[Group, ...] = ()
    having: Expression | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """What an expression is made of, one level down."""
    match expression:
        case Call(_, arguments):
            return arguments
        case Case(operand, branches, otherwise):
            ends = tuple(part for part in (operand, otherwise) if part is not None)
            return tuple(part for branch in branches for part in branch) + ends
        case Aggregate(_, arguments, _, condition):
            return arguments if condition is None else (*arguments, condition)
        case _:
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything in it."""
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(parts_of(part))
