"""From text to the tree of a model's terms, by the grammar that reads queries.

terms    term, term, …
term     1 | feature BY feature BY …
feature  e | e LEVELS (literal, …) [WITHOUT literal] | e POWERS n | e SPLINE (number, number, …)
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final, TypeVar

from kapok.computations.design.features import INTERCEPT, Feature, Levels, Plain, Powers, Spline, Term
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Expression, Number, Text

__all__ = ["read_above_zero", "read_rounds", "read_terms", "read_where", "value_of"]

_Item = TypeVar("_Item")

_MOST_DEGREE: Final = 8
_MOST_KNOTS: Final = 12
_MOST_LEVELS: Final = 256
_MOST_ROUNDS: Final = 100


def read_terms(reader: Reader) -> tuple[Term, ...]:
    """Read terms as long as commas follow.

    Raises:
        InvalidInput: ``bad_sql``, ``bad_model`` or whatever is wrong with an expression.
    """
    terms = [_term(reader)]
    while reader.take_sign(","):
        terms.append(_term(reader))
    if len(set(terms)) != len(terms):
        raise refuse("a term stands in the model twice", "leave one out", "bad_model")
    return tuple(terms)


def read_above_zero(reader: Reader, what: str) -> Number:
    """Read the number that a word takes.

    Raises:
        InvalidInput: ``bad_model``.
    """
    found = reader.expression()
    if not isinstance(found, Number) or found.units <= 0:
        raise refuse(f"{what} takes a number above 0", "write it as digits", "bad_model")
    return found


def read_rounds(reader: Reader) -> int:
    """Read ``ROUNDS number``.

    Raises:
        InvalidInput: ``bad_model``.
    """
    reader.expect_word("rounds", "after the model")
    rounds = read_above_zero(reader, "ROUNDS")
    if rounds.decimals or not 2 <= rounds.units <= _MOST_ROUNDS:
        raise refuse(f"a model takes 2 to {_MOST_ROUNDS} rounds", "ask for so many", "bad_model")
    return rounds.units


def read_where(reader: Reader) -> Expression | None:
    """Read ``[WHERE condition]`` at a text's end.

    Raises:
        InvalidInput: ``bad_sql`` when there is more.
    """
    where = reader.expression() if reader.take_word("where") else None
    if reader.token.kind != "end":
        raise reader.unexpected("the text ends before")
    return where


def value_of(number: Number) -> Fraction:
    """The number that is written."""
    return Fraction(number.units, 10**number.decimals)


def _term(reader: Reader) -> Term:
    features = [_feature(reader)]
    while reader.take_word("by"):
        features.append(_feature(reader))
    if features == [Plain(Number(1))]:
        return INTERCEPT
    if len(set(features)) != len(features):
        raise refuse("a term has the same factor twice", "leave one out", "bad_model")
    return tuple(features)


def _feature(reader: Reader) -> Feature:
    expression = reader.expression()
    if reader.take_word("levels"):
        return _levels(reader, expression)
    if reader.take_word("powers"):
        degree = _number(reader)
        if degree.decimals or not 1 <= degree.units <= _MOST_DEGREE:
            raise refuse(
                f"a polynomial has a degree of 1 to {_MOST_DEGREE}", "write a smaller one", "bad_model"
            )
        return Powers(expression, degree.units)
    if reader.take_word("spline"):
        knots = tuple(_listed(reader, _number))
        values = [value_of(knot) for knot in knots]
        if not 3 <= len(knots) <= _MOST_KNOTS or values != sorted(set(values)):
            raise refuse(
                f"a spline has 3 to {_MOST_KNOTS} knots, each larger than the one before",
                "list them in order, the outer ones too",
                "bad_model",
            )
        return Spline(expression, knots)
    return Plain(expression)


def _levels(reader: Reader, expression: Expression) -> Levels:
    levels = tuple(_listed(reader, _level))
    without = _level(reader) if reader.take_word("without") else None
    if not 2 <= len(levels) <= _MOST_LEVELS or len(set(levels)) != len(levels):
        raise refuse(
            f"a factor has 2 to {_MOST_LEVELS} levels, none of them twice", "list its levels", "bad_model"
        )
    if without is not None and without not in levels:
        raise refuse(
            "the level that a factor is compared with is none of its levels", "name one of them", "bad_model"
        )
    return Levels(expression, levels, without)


def _listed(reader: Reader, read: Callable[[Reader], _Item]) -> list[_Item]:
    reader.expect_sign("(", "before the list")
    found = [read(reader)]
    while reader.take_sign(","):
        found.append(read(reader))
    reader.expect_sign(")", "after the list")
    return found


def _number(reader: Reader) -> Number:
    literal = reader.expression()
    if not isinstance(literal, Number):
        raise refuse("a number is missing", "write it as digits", "bad_sql")
    return literal


def _level(reader: Reader) -> Number | Text:
    literal = reader.expression()
    if not isinstance(literal, Number | Text):
        raise refuse("a level is a number, or a text in single quotes", "write it so", "bad_sql")
    return literal
