"""Medians and quantiles by search: which quantiles there are, and the public steps by which each is found.

A quantile is one row's value, or lies between two rows' values: those at certain ranks. A value within public
bounds is found by intervals that shrink:

    round 1      the rows of each cell in which x is known    → n, hence the ranks
    each later   for each rank the interval that is left: the parameters
                 rows with x up to the end of each of its parts, at most 16, but the last    → a part of it

A holder shows the count at a threshold if on both sides of it are none of its rows of the cell or at least
`min_cell`, and the cell is shown in round 1. Between thresholds that are shown several parts can be left. So
the number of rounds counts on an eighth, not a sixteenth, being left of an interval each time: it follows
from the bounds alone. All rounds are held, whatever is found: who counts them learns nothing. What is not
found by then, or cannot be, is suppressed. See docs/decisions/0020-quantiles.md for what all this tells.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Final

from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Aggregate, Call, Expression, Number
from kapok.computations.rows.terms import INT64, Term

if TYPE_CHECKING:
    from kapok.computations.query.params import Question, Result

__all__ = [
    "PARTS",
    "QUANTILES",
    "RANKS",
    "SEARCH_WORDS",
    "check_quantiles",
    "fraction_of",
    "ranks_of",
    "search_rounds",
    "span_of",
    "value_between",
]

PARTS: Final = 16
"""In how many parts, at most, each round divides what is left."""

RANKS: Final = 2
"""Ranks that are looked for: a quantile can lie between two rows."""

SEARCH_WORDS: Final = 2 * (PARTS - 1)
"""Words of one rank's search in one round: count and flag for each threshold."""

QUANTILES: Final = {"median": 1, "quantile_cont": 2, "quantile_disc": 2}
"""The quantiles, and how many arguments each takes."""

_HALF: Final = Fraction(1, 2)


def span_of(term: Term) -> int:
    """How many steps lie between the bounds of a term.

    Raises:
        InvalidInput: ``number_too_large`` when engines cannot count them.
    """
    span = term.high - term.low
    if span > INT64 // PARTS:
        raise refuse(
            "the values can be too far apart to search among them",
            "take coarser steps with ROUND or FLOOR",
            "number_too_large",
        )
    return span


def search_rounds(term: Term) -> int:
    """How many rounds a search among the values of a term is given: the digits of their number in base 8."""
    return max(1, -(-span_of(term).bit_length() // 3))


def fraction_of(aggregate: Aggregate) -> Fraction:
    """Which part of the rows lies below the quantile.

    Raises:
        InvalidInput: ``bad_sql`` when it is no constant from 0 to 1, or an argument is missing or too many.
    """
    name = aggregate.name.upper()
    wanted = QUANTILES[aggregate.name]
    if len(aggregate.arguments) != wanted or aggregate.distinct:
        example = f"{name}(x)" if wanted == 1 else f"{name}(x, 0.25)"
        raise refuse(f"{name} is not asked like this", f"write {example}", "bad_sql")
    part = _HALF if wanted == 1 else _constant(aggregate.arguments[1])
    if part is None or not 0 <= part <= 1:
        raise refuse(
            f"the second argument of {name} is a number from 0 to 1", "write it as digits", "bad_sql"
        )
    return part


def _constant(expression: Expression) -> Fraction | None:
    match expression:
        case Number(units, decimals):
            return Fraction(units, 10**decimals)
        case Call("neg", _):
            return Fraction(-1)
        case _:
            return None


def check_quantiles(question: Question) -> None:
    """Refuse what would let thresholds be subtracted from one another.

    Raises:
        InvalidInput: ``unsupported_sql``.
    """
    asked = [question.measures[result.measure] for result in question.quantiles]
    if asked and len(question.sets) > 1:
        raise refuse(
            "quantiles cannot be asked for several groupings at once",
            "ask one question for each grouping, without ROLLUP, CUBE and GROUPING SETS",
        )
    conditions = {measure.arguments: measure.condition for measure in asked}
    if any(conditions[measure.arguments] != measure.condition for measure in asked):
        raise refuse(
            "quantiles of one expression cannot be asked under several FILTERs at once",
            "ask one question for each FILTER, or group by what tells the rows apart",
        )


def ranks_of(result: Result, total: int) -> tuple[int, int]:
    """Between which rows the quantile of so many lies, counted from 0."""
    if result.fraction is None:
        raise AssertionError("no quantile")
    if result.name == "quantile_disc":
        rank = max(0, ceil(result.fraction * total) - 1)
        return rank, rank
    place = result.fraction * (total - 1)
    return floor(place), ceil(place)


def value_between(result: Result, total: int, low: Fraction, high: Fraction) -> Fraction:
    """The quantile, from the values at its two ranks."""
    if result.fraction is None:
        raise AssertionError("no quantile")
    place = result.fraction * (total - 1)
    return low + (high - low) * (place - floor(place))
