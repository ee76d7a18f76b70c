"""What a WHERE clause may say, as Kapok's own types.

It is the only form in which an analyst's filter reaches an engine. Numbers are exact: a literal is a whole
number of units of a power of ten. Nothing here knows SQL text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "AllOf",
    "AnyOf",
    "Arithmetic",
    "Comparison",
    "Condition",
    "Field",
    "Flag",
    "Membership",
    "Not",
    "NullTest",
    "Number",
    "Operand",
    "Operator",
    "Text",
    "Truth",
    "TruthTest",
    "fields_of",
]

Operator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Field:
    """The value of a column."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """The number ``units · 10^-decimals``, with as few decimals as it needs."""

    units: int
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the domain of the column beside it contains."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """TRUE or FALSE: as a value beside a boolean column, or as a condition of its own."""

    value: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Sum, difference or product of numbers."""

    operator: Literal["+", "-", "*"]
    left: Operand
    right: Operand


Operand: TypeAlias = Field | Number | Text | Truth | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands compared; unknown if one of them is null."""

    operator: Operator
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the operand is one of the literals, of which there is at least one."""

    operand: Operand
    values: tuple[Number | Text | Truth, ...]


@dataclass(frozen=True, slots=True)
class NullTest:
    """Whether the operand is null."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean column as a condition."""

    name: str


@dataclass(frozen=True, slots=True)
class TruthTest:
    """Whether the condition is exactly that: never unknown itself."""

    condition: Condition
    expected: bool


@dataclass(frozen=True, slots=True)
class Not:
    """The condition's opposite; unknown stays unknown."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Two or more conditions joined by AND."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Two or more conditions joined by OR."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Membership | NullTest | Flag | Truth | TruthTest | Not | AllOf | AnyOf


def fields_of(part: Condition | Operand) -> Iterator[str]:
    """Names of the columns that a condition or operand reads, with repetitions."""
    match part:
        case Field(name) | Flag(name):
            yield name
        case Arithmetic(_, left, right) | Comparison(_, left, right):
            yield from fields_of(left)
            yield from fields_of(right)
        case Membership(operand, _) | NullTest(operand):
            yield from fields_of(operand)
        case TruthTest(condition, _) | Not(condition):
            yield from fields_of(condition)
        case AllOf(conditions) | AnyOf(conditions):
            for condition in conditions:
                yield from fields_of(condition)
        case Number() | Text() | Truth():
            pass
