"""A question as a sentence that a data holder's officer can judge without knowing SQL."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from kapok.computations.language.syntax import (
    COMPARISONS,
    Aggregate,
    Call,
    Day,
    Expression,
    Moment,
    Name,
    Number,
    Text,
    Truth,
)
from kapok.computations.language.writing import write
from kapok.computations.query.aggregates import AGGREGATES
from kapok.computations.query.measures import Measure

if TYPE_CHECKING:
    from kapok.computations.query.params import Question, Result

__all__ = ["describe"]

_PHRASES: Final = {
    "=": "is",
    "<>": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}


def describe(question: Question) -> str:
    """One sentence: what is computed, over which rows, in which groups."""
    bins = [axis.expression for axis in question.axes if isinstance(axis.expression, Aggregate)]
    asked = [_result(result, question.measures[result.measure]) for result in question.results]
    asked += [
        f"counts the rows in {write(one.arguments[1])} bins of {write(one.arguments[0])}" for one in bins
    ]
    text = _listed(list(dict.fromkeys(asked)))
    where = question.statement.where
    if where is None:
        rows = f"over all rows of {question.dataset}"
    else:
        rows = f"over the rows of {question.dataset} where {_condition(where)}"
    return f"{text[0].upper()}{text[1:]}, {rows}{_groups(question)}."


def _groups(question: Question) -> str:
    named = [
        None if isinstance(axis.expression, Aggregate) else write(axis.expression) for axis in question.axes
    ]
    sets = [[name for place in kept if (name := named[place])] for kept in question.sets]
    lines = [f"one line for each {_listed(names)}" if names else "one line for all" for names in sets]
    lines = list(dict.fromkeys(lines))
    if lines == ["one line for all"]:
        return ""
    return ", " + ", and ".join(lines)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _result(result: Result, measure: Measure) -> str:
    listed = [write(one) for one in measure.arguments][:: -1 if result.swapped else 1]
    if result.name == "count_distinct":
        text = f"counts the different values of {listed[0]}, and the rows that have each"
    elif result.fraction is not None:
        what = "median" if result.fraction == Fraction(1, 2) else f"{result.fraction} quantile"
        text = f"searches for the {what} of {listed[0]} by counting rows up to the values that it tries"
    elif not listed:
        text = "counts the rows"
    else:
        text = AGGREGATES[result.name].says.format(*listed)
    if measure.condition is not None:
        text += f" where {_condition(measure.condition)}"
    return text


def _condition(condition: Expression) -> str:
    match condition:
        case Call("=" | "<>" | "<" | "<=" | ">" | ">=" as sign, (left, right)):
            if isinstance(left, Number | Text | Truth | Day | Moment):
                return f"{write(right)} {_PHRASES[COMPARISONS[sign]]} {write(left)}"
            return f"{write(left)} {_PHRASES[sign]} {write(right)}"
        case Call("in", (tested, *values)):
            return f"{write(tested)} is one of {', '.join(map(write, values))}"
        case Call("between", (tested, low, high)):
            return f"{write(tested)} is from {write(low)} to {write(high)}"
        case Call("is null", (tested,)):
            return f"{write(tested)} is missing"
        case Call("is true" | "is false" as name, (tested,)):
            inner = write(tested) if isinstance(tested, Name) else f"({_condition(tested)})"
            return f"{inner} is known and {name.removeprefix('is ')}"
        case Call("not", (inner,)):
            return _negated(inner)
        case Call("and" | "or" as name, parts):
            return f" {name} ".join(map(_part, parts))
        case Name(name):
            return f"{name} is true"
        case Truth(value):
            return "always" if value else "never"
        case _:
            return write(condition)


def _negated(inner: Expression) -> str:
    match inner:
        case Call("in", (tested, *values)):
            return f"{write(tested)} is none of {', '.join(map(write, values))}"
        case Call("is null", (tested,)):
            return f"{write(tested)} is known"
        case Name(name):
            return f"{name} is false"
        case _:
            return f"not ({_condition(inner)})"


def _part(condition: Expression) -> str:
    text = _condition(condition)
    return f"({text})" if isinstance(condition, Call) and condition.name in ("and", "or") else text
