"""The tree of a model's right-hand side: terms, each a product of features of one row.

There is nothing else in it: a formula that hides code cannot be written down here. What a feature is of is an
expression of one row, as queries have them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from kapok.computations.language.literals import number_text
from kapok.computations.language.syntax import Expression, Number, Text
from kapok.computations.language.writing import write

__all__ = [
    "INTERCEPT",
    "Feature",
    "Levels",
    "Plain",
    "Powers",
    "Spline",
    "Term",
    "columns_of",
    "expressions",
    "name_of",
    "written",
]


@dataclass(frozen=True, slots=True)
class Plain:
    """A number, or a condition as 0 and 1: one column."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Levels:
    """A factor: one column of 0 and 1 for each of its levels but `without`.

    A row with another value than these is dropped.
    """

    expression: Expression
    levels: tuple[Number | Text, ...]
    without: Number | Text | None


@dataclass(frozen=True, slots=True)
class Powers:
    """x, x², … to the degree: as many columns."""

    expression: Expression
    degree: int


@dataclass(frozen=True, slots=True)
class Spline:
    """A natural cubic spline with these knots, outer ones too: one column fewer than there are knots.

    Linear beyond the outer knots t₁ and t_k. After x itself, for each j up to k - 2, with (u)₊ = max(u, 0),

        (x-t_j)₊³ - (x-t_{k-1})₊³ (t_k-t_j)/(t_k-t_{k-1}) + (x-t_k)₊³ (t_{k-1}-t_j)/(t_k-t_{k-1})

    divided by (t_k-t₁)².

    Source: Harrell, Regression Modeling Strategies, 2nd edition, equation 2.25, in the norming of rms::rcs.
    """

    expression: Expression
    knots: tuple[Number, ...]


Feature: TypeAlias = Plain | Levels | Powers | Spline
Term: TypeAlias = tuple[Feature, ...]

INTERCEPT: Final[Term] = ()
"""The product of nothing: a column of ones."""


def expressions(terms: tuple[Term, ...]) -> Iterator[Expression]:
    """What an engine computes for the terms."""
    return (feature.expression for term in terms for feature in term)


def columns_of(term: Term) -> int:
    """How many columns of the matrix a term has."""
    return math.prod(map(_parts_of, term))


def _parts_of(feature: Feature) -> int:
    match feature:
        case Levels(_, levels, without):
            return len(levels) - (without is not None)
        case Powers(_, degree):
            return degree
        case Spline(_, knots):
            return len(knots) - 1
        case _:
            return 1


def written(terms: tuple[Term, ...]) -> str:
    """The canonical text of the terms."""
    return ", ".join(" BY ".join(map(_feature, term)) if term else "1" for term in terms)


def name_of(level: Number | Text) -> str:
    """A level for people."""
    return level.value if isinstance(level, Text) else number_text(level)


def _feature(feature: Feature) -> str:
    text = write(feature.expression)
    match feature:
        case Plain():
            return text
        case Levels(_, levels, without):
            left_out = "" if without is None else f" WITHOUT {write(without)}"
            return f"{text} LEVELS ({', '.join(map(write, levels))}){left_out}"
        case Powers(_, degree):
            return f"{text} POWERS {degree}"
        case Spline(_, knots):
            return f"{text} SPLINE ({', '.join(map(write, knots))})"
