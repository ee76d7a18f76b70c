"""A typed expression of one row: what kind of value, how large, and how an engine computes it.

Numbers are whole steps on 64-bit integers times an exact scale: 12.5 in a column of resolution 0.1 is 125
steps of 1/10, and ``x / 3`` has the steps of x and a third of its scale. The interval of the steps follows
from the schema's public bounds alone. What could leave 64 bits for some row within them is refused when the
question is read: an overflow, which suppresses a holder's whole contribution, would otherwise answer
questions about single rows. ``WHERE (age - 40) * 9000000000000000000 > 0`` would fail exactly for those who
hold an age other than 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from typing import Final, Literal, TypeAlias

from kapok.computations.language.hints import refuse
from kapok.computations.rows.operations import Code, Fact, Field, Nothing, Operation, Quoted, Whole
from kapok.documents.dataset import Column
from kapok.errors import InvalidInput

__all__ = [
    "INT64",
    "MOST_VALUES",
    "Kind",
    "Term",
    "aligned",
    "boolean",
    "bounded",
    "constant",
    "in_scale",
    "mismatch",
    "of_column",
    "text",
    "too_large",
    "unknown",
    "whole",
]

INT64: Final = 2**63 - 1
MOST_VALUES: Final = 10_000
"""Most values of a finite list."""

_MOST_SCALE_BITS: Final = 256

Kind: TypeAlias = Literal["number", "text", "boolean", "date", "timestamp", "null"]


@dataclass(frozen=True, slots=True)
class Term:
    """A typed expression of one row.

    Attributes:
        kind: Of its value; ``null`` for NULL alone, which fits every kind.
        code: What an engine computes: steps, a text or a boolean.
        nullable: Whether it may be unknown.
        low: Least number of steps; 0 for texts and booleans.
        high: Largest number of steps; 1 for booleans.
        scale: What one step is worth: of a date in days, of a timestamp in seconds.
        values: All it can be, where that is a list and not the interval: steps or texts, in order.
        column: The column that it is, if it is one and nothing more.
    """

    kind: Kind
    code: Code
    nullable: bool
    low: int = 0
    high: int = 0
    scale: Fraction = Fraction(1)
    values: tuple[int, ...] | tuple[str, ...] | None = None
    column: Column | None = None

    @property
    def number(self) -> Fraction | None:
        """The value of a constant in its kind's units, None of what depends on a row or has no steps."""
        return self.low * self.scale if isinstance(self.code, Whole) else None

    @property
    def two_values(self) -> tuple[int, int] | None:
        """The two numbers of steps that it can have, the lower first; None where it can have more or fewer.

        The *contributors* of a sum are the rows that have the higher of the two, and else those that are not
        zero.
        """
        values = self.values if self.values is not None else (self.low, self.high)
        if len(values) != 2 or (self.values is None and self.high - self.low != 1):
            return None
        return int(values[0]), int(values[1])

    @property
    def possible(self) -> Sequence[int] | Sequence[str] | None:
        """All it can be, in order; None where that is no list of at most `MOST_VALUES`."""
        if self.values is not None:
            return self.values
        if self.kind in ("text", "null") or self.high - self.low >= MOST_VALUES:
            return None
        return range(self.low, self.high + 1)


def of_column(column: Column) -> Term:
    """The term that a column is."""
    code = Field(column.name)
    match column.type:
        case "text":
            values = tuple(str(value) for value in column.domain or ())
            return Term("text", code, column.nullable, values=values, column=column)
        case "boolean":
            return Term("boolean", code, column.nullable, 0, 1, column=column)
        case "date" | "timestamp" as kind:
            low, high = column.step_bounds
            return Term(kind, code, column.nullable, low, high, column=column)
        case _:
            low, high = column.step_bounds
            values_of = None if column.domain is None else tuple(int(value) for value in column.domain)
            scale = Fraction(1, 10**column.decimals)
            return Term("number", code, column.nullable, low, high, scale, values_of, column)


def constant(value: Fraction | int, kind: Kind = "number") -> Term:
    """A constant number, day or moment.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    value = Fraction(value)
    steps, scale = value.numerator, Fraction(1, value.denominator)
    return bounded(Term(kind, Whole(steps), nullable=False, low=steps, high=steps, scale=scale))


def text(value: str) -> Term:
    """A constant text."""
    return Term("text", Quoted(value), nullable=False, values=(value,))


def boolean(code: Code, *, nullable: bool) -> Term:
    """A condition."""
    if isinstance(code, Fact):
        return Term("boolean", code, nullable, int(code.value), int(code.value))
    return Term("boolean", code, nullable, 0, 1)


def unknown() -> Term:
    """NULL."""
    return Term("null", Nothing(), nullable=True)


def whole(code: Code, low: int, high: int, *parts: Term, scale: Fraction = Fraction(1)) -> Term:
    """A number of steps, unknown where one of the parts is.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    return bounded(Term("number", code, any(part.nullable for part in parts), low, high, scale))


def bounded(term: Term) -> Term:
    """The term, if all its steps fit.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    if max(abs(term.low), abs(term.high)) > INT64:
        raise too_large()
    if max(term.scale.numerator.bit_length(), term.scale.denominator.bit_length()) > _MOST_SCALE_BITS:
        raise too_large()
    return term


def too_large() -> InvalidInput:
    """The error of an expression that need not fit."""
    return refuse(
        "an expression could exceed 64-bit numbers for values within the dataset's bounds",
        "use smaller factors, fewer products or fewer decimals",
        "number_too_large",
    )


def in_scale(term: Term, scale: Fraction) -> Term:
    """The same value in steps of another scale, of which its own is a whole multiple.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    times = int(term.scale / scale)
    if times == 1:
        return term
    if times > INT64:
        # An interval [0, 0] has no large values in any steps, but the engine multiplies by the factor.
        raise too_large()
    code: Code = Operation("*", (term.code, Whole(times)))
    if isinstance(term.code, Whole):
        code = Whole(term.code.value * times)
    values = None if term.values is None else tuple(int(value) * times for value in term.values)
    return bounded(
        replace(
            term,
            code=code,
            low=term.low * times,
            high=term.high * times,
            scale=scale,
            values=values,
            column=None,
        )
    )


def aligned(*terms: Term) -> tuple[Term, ...]:
    """All in steps of one scale, the largest that fits them all.

    Raises:
        InvalidInput: ``number_too_large``.
    """
    top, bottom = terms[0].scale.numerator, terms[0].scale.denominator
    for term in terms[1:]:
        other = term.scale
        top = gcd(top * other.denominator, other.numerator * bottom)
        bottom *= other.denominator
    common = Fraction(top, bottom)
    return tuple(in_scale(term, common) for term in terms)


def mismatch(what: str, term: Term, needs: str) -> InvalidInput:
    """The error of a term of the wrong kind."""
    named = f"column {term.column.name}" if term.column else "the expression"
    kind = "NULL" if term.kind == "null" else f"a {term.kind}"
    return refuse(
        f"{what} needs {needs}, and {named} is {kind}",
        "numbers stand without quotes, texts in single quotes, booleans are TRUE and FALSE, "
        "dates DATE '2013-01-31'",
        "type_mismatch",
    )
