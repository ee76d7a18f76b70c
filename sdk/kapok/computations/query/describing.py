"""A question as a sentence that a data holder's officer can judge without knowing SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kapok.computations.query.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Flag,
    Membership,
    Not,
    NullTest,
    Number,
    Operator,
    Text,
    Truth,
    TruthTest,
)
from kapok.computations.query.writing import write_operand

if TYPE_CHECKING:
    from kapok.computations.query.params import Item, Question

__all__ = ["describe"]

_PHRASES: Final[dict[Operator, str]] = {
    "=": "is",
    "<>": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}
_TURNED: Final[dict[Operator, Operator]] = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def describe(question: Question) -> str:
    """One sentence: what is computed, over which rows, in which groups."""
    asked = _listed([_item(item) for item in question.items if item.kind != "group"])
    if question.condition is None:
        rows = f"over all rows of {question.dataset}"
    else:
        rows = f"over the rows of {question.dataset} where {_condition(question.condition)}"
    groups = f", one line for each {_listed(list(question.group_by))}" if question.group_by else ""
    return f"{asked[0].upper()}{asked[1:]}, {rows}{groups}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _item(item: Item) -> str:
    match item.kind:
        case "rows":
            return "counts the rows"
        case "count":
            return f"counts the rows in which {item.column} is known"
        case "sum":
            return f"sums {item.column}"
        case _:
            return f"averages {item.column}"


def _condition(condition: Condition) -> str:
    match condition:
        case Comparison(operator, left, right):
            if isinstance(left, Number | Text | Truth):
                operator, left, right = _TURNED[operator], right, left
            return f"{write_operand(left)} {_PHRASES[operator]} {write_operand(right)}"
        case Membership(operand, values):
            return f"{write_operand(operand)} is one of {', '.join(map(write_operand, values))}"
        case NullTest(operand):
            return f"{write_operand(operand)} is missing"
        case Flag(name):
            return f"{name} is true"
        case Truth(value):
            return "always" if value else "never"
        case TruthTest(Flag(name), expected):
            return f"{name} is known and {'true' if expected else 'false'}"
        case TruthTest(inner, expected):
            return f"({_condition(inner)}) is known and {'true' if expected else 'false'}"
        case Not(Membership(operand, values)):
            return f"{write_operand(operand)} is none of {', '.join(map(write_operand, values))}"
        case Not(NullTest(operand)):
            return f"{write_operand(operand)} is known"
        case Not(Flag(name)):
            return f"{name} is false"
        case Not(inner):
            return f"not ({_condition(inner)})"
        case AllOf(conditions):
            return " and ".join(map(_part, conditions))
        case AnyOf(conditions):
            return " or ".join(map(_part, conditions))


def _part(condition: Condition) -> str:
    text = _condition(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text
