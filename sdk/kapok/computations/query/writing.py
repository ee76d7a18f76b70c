"""The canonical text of a question.

Written by Kapok itself, so that it does not change with a library's version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from kapok.computations.query.reserved import RESERVED

if TYPE_CHECKING:
    from kapok.computations.query.params import Item, Question

__all__ = ["number_text", "write", "write_condition", "write_operand", "write_substance"]

_FUNCTIONS: Final = {"rows": "COUNT", "count": "COUNT", "sum": "SUM", "avg": "AVG"}


def _identifier(name: str) -> str:
    return f'"{name}"' if name.lower() in RESERVED or name != name.lower() else name


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def number_text(number: Number) -> str:
    """The number in plain decimal notation."""
    digits = str(abs(number.units)).rjust(number.decimals + 1, "0")
    whole = len(digits) - number.decimals
    sign = "-" if number.units < 0 else ""
    return sign + digits[:whole] + ("." + digits[whole:] if number.decimals else "")


def write_operand(operand: Operand) -> str:
    """The operand with no more parentheses than it needs."""
    match operand:
        case Field(name):
            return _identifier(name)
        case Number():
            return number_text(operand)
        case Text(value):
            return _literal(value)
        case Truth(value):
            return "TRUE" if value else "FALSE"
        case Arithmetic(operator, left, right):
            return f"{_term(left, operator, first=True)} {operator} {_term(right, operator, first=False)}"


def _term(operand: Operand, parent: str, *, first: bool) -> str:
    text = write_operand(operand)
    match operand:
        case Number(units, _) if units < 0:
            return f"({text})"
        case Arithmetic(operator, _, _) if (operator == "*", first) < (parent == "*", True):
            return f"({text})"
        case _:
            return text


def write_condition(condition: Condition) -> str:
    """The condition with no more parentheses than it needs."""
    match condition:
        case Comparison(operator, left, right):
            return f"{write_operand(left)} {operator} {write_operand(right)}"
        case Membership(operand, values):
            return f"{_tested(operand)} IN ({', '.join(map(write_operand, values))})"
        case NullTest(operand):
            return f"{_tested(operand)} IS NULL"
        case Flag(name):
            return _identifier(name)
        case Truth():
            return write_operand(condition)
        case TruthTest(inner, expected):
            return f"{_atom(inner)} IS {'TRUE' if expected else 'FALSE'}"
        case Not(Membership(operand, values)):
            return f"{_tested(operand)} NOT IN ({', '.join(map(write_operand, values))})"
        case Not(NullTest(operand)):
            return f"{_tested(operand)} IS NOT NULL"
        case Not(inner):
            return f"NOT {_atom(inner)}"
        case AllOf(conditions):
            return " AND ".join(_joined(part, inside=AllOf) for part in conditions)
        case AnyOf(conditions):
            return " OR ".join(_joined(part, inside=AnyOf) for part in conditions)


def _tested(operand: Operand) -> str:
    text = write_operand(operand)
    return f"({text})" if isinstance(operand, Arithmetic) else text


def _atom(condition: Condition) -> str:
    text = write_condition(condition)
    return text if isinstance(condition, Flag | Truth) else f"({text})"


def _joined(condition: Condition, *, inside: type[AllOf | AnyOf]) -> str:
    text = write_condition(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) and type(condition) is not inside else text


def _write_item(item: Item) -> str:
    if item.kind == "group":
        text = _identifier(item.column or "")
    else:
        argument = "*" if item.column is None else _identifier(item.column)
        text = f"{_FUNCTIONS[item.kind]}({argument})"
    return text if item.name == item.default_name else f"{text} AS {_identifier(item.name)}"


def write(question: Question) -> str:
    """The whole question on one line."""
    text = f"SELECT {', '.join(map(_write_item, question.items))} FROM {_identifier(question.dataset)}"  # noqa: S608  it is the purpose
    if question.condition is not None:
        text += f" WHERE {write_condition(question.condition)}"
    if question.group_by:
        text += f" GROUP BY {', '.join(map(_identifier, question.group_by))}"
    return text


def write_substance(question: Question) -> str:
    """What the question asks, whatever the answer's columns are called. See `Question.substance`."""
    measures = sorted((measure.column or "", measure.with_sum) for measure in question.measures)
    text = ", ".join(f"{'SUM' if summed else 'COUNT'}({_identifier(name)})" for name, summed in measures)
    if question.condition is not None:
        text += f" WHERE {write_condition(_in_order(question.condition))}"
    return text + f" GROUP BY {', '.join(map(_identifier, sorted(question.group_by)))}"


def _in_order(condition: Condition) -> Condition:
    """The same condition with everything in one order that may stand in any."""
    match condition:
        case AllOf(conditions):
            return AllOf(_sorted(conditions))
        case AnyOf(conditions):
            return AnyOf(_sorted(conditions))
        case Not(inner):
            return Not(_in_order(inner))
        case TruthTest(inner, expected):
            return TruthTest(_in_order(inner), expected)
        case Membership(operand, values):
            return Membership(operand, tuple(sorted(set(values), key=write_operand)))
        case _:
            return condition


def _sorted(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(sorted(map(_in_order, conditions), key=write_condition))
