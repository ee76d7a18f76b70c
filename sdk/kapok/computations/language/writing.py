"""The canonical text of a question, written from its tree, so that it does not change with any library."""

from __future__ import annotations

from typing import Final

from kapok.computations.language.literals import number_text
from kapok.computations.language.reserved import RESERVED
from kapok.computations.language.syntax import (
    Aggregate,
    Call,
    Case,
    Day,
    Expression,
    Group,
    Moment,
    Name,
    Null,
    Number,
    Order,
    Selected,
    Span,
    Statement,
    Text,
    Truth,
)
from kapok.documents.dates import date_of, timestamp_of

__all__ = ["identifier", "in_order", "write", "write_statement"]

# How tightly an operator binds; what binds less tightly than its surroundings stands in parentheses.
_LEVELS: Final = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(("is null", "is true", "is false"), 4),
    **dict.fromkeys(("=", "<>", "<", "<=", ">", ">="), 5),
    **dict.fromkeys(("in", "between", "like", "ilike"), 6),
    "||": 7,
    **dict.fromkeys("+-", 8),
    **dict.fromkeys("*/%", 9),
    "neg": 10,
}
_ATOM: Final = 11


def identifier(name: str) -> str:
    """The name as it is written: in double quotes where it could be taken for something else."""
    return f'"{name}"' if name.lower() in RESERVED or name != name.lower() or "@" in name else name


def write(expression: Expression) -> str:
    """The expression with no more parentheses than it needs."""
    return _written(expression)[0]


def _written(expression: Expression) -> tuple[str, int]:
    """The text, and how tightly what it begins and ends with holds together."""
    match expression:
        case Name(name):
            return identifier(name), _ATOM
        case Number(units, _):
            return number_text(expression), _ATOM if units >= 0 else _LEVELS["neg"]
        case Text(value):
            return _quoted(value), _ATOM
        case Truth(value):
            return ("TRUE" if value else "FALSE"), _ATOM
        case Null():
            return "NULL", _ATOM
        case Day(days):
            return f"DATE '{date_of(days)}'", _ATOM
        case Moment(seconds):
            return f"TIMESTAMP '{timestamp_of(seconds).replace('T', ' ')}'", _ATOM
        case Span(amount, unit):
            return f"INTERVAL {amount} {unit.upper()}", _ATOM
        case Call(name, arguments):
            return _call(name, arguments)
        case Case():
            return _case(expression), _ATOM
        case Aggregate():
            return _aggregate(expression), _ATOM


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _at_least(expression: Expression, level: int) -> str:
    text, own = _written(expression)
    return text if own >= level else f"({text})"


def _call(name: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
    level = _LEVELS.get(name)
    if level is None:
        return f"{name.upper()}({', '.join(map(write, arguments))})", _ATOM
    first = arguments[0]
    match name:
        case "and" | "or":
            return f" {name.upper()} ".join(_at_least(part, _LEVELS["not"]) for part in arguments), level
        case "not":
            return _negated(first), level
        case "neg":
            return f"-{_at_least(first, _ATOM)}", level
        case "is null" | "is true" | "is false":
            return f"{_at_least(first, _ATOM)} {name.upper()}", level
        case "in":
            values = ", ".join(map(write, arguments[1:]))
            return f"{_at_least(first, level)} IN ({values})", level
        case "between":
            low, high = (_at_least(part, level + 1) for part in arguments[1:])
            return f"{_at_least(first, level)} BETWEEN {low} AND {high}", level
        case "=" | "<>" | "<" | "<=" | ">" | ">=":
            return f"{_at_least(first, level + 1)} {name} {_at_least(arguments[1], level + 1)}", level
        case _:
            sign = name.upper()
            return f"{_at_least(first, level)} {sign} {_at_least(arguments[1], level + 1)}", level


def _negated(inner: Expression) -> str:
    """NOT in the place where SQL has it: ``x IS NOT NULL``, ``x NOT IN (…)``, else before the condition."""
    match inner:
        case Call("is null", (tested,)):
            return f"{_at_least(tested, _ATOM)} IS NOT NULL"
        case Call("in" | "between" | "like" | "ilike" as name, (tested, *_)):
            text = _call(name, inner.arguments)[0]
            before = _at_least(tested, _LEVELS[name])
            return f"{before} NOT{text[len(before) :]}"
        case _:
            return f"NOT {_at_least(inner, _ATOM)}"


def _case(case: Case) -> str:
    text = "CASE" if case.operand is None else f"CASE {write(case.operand)}"
    for condition, value in case.branches:
        text += f" WHEN {write(condition)} THEN {write(value)}"
    if case.otherwise is not None:
        text += f" ELSE {write(case.otherwise)}"
    return text + " END"


def _aggregate(aggregate: Aggregate) -> str:
    listed = ", ".join(map(write, aggregate.arguments)) or "*"
    text = f"{aggregate.name.upper()}({'DISTINCT ' if aggregate.distinct else ''}{listed})"
    if aggregate.condition is not None:
        text += f" FILTER (WHERE {write(aggregate.condition)})"
    return text


def write_statement(statement: Statement) -> str:
    """The whole question on one line."""
    source = identifier(statement.source[0])
    text = f"SELECT {', '.join(map(_selected, statement.selected))} FROM {source}"  # noqa: S608  its purpose
    if statement.where is not None:
        text += f" WHERE {write(statement.where)}"
    if statement.groups:
        text += f" GROUP BY {', '.join(map(_group, statement.groups))}"
    if statement.having is not None:
        text += f" HAVING {write(statement.having)}"
    if statement.order:
        text += f" ORDER BY {', '.join(map(_order, statement.order))}"
    if statement.limit is not None:
        text += f" LIMIT {statement.limit}"
    return text + (f" OFFSET {statement.offset}" if statement.offset else "")


def _selected(item: Selected) -> str:
    text = write(item.expression)
    return text if item.alias is None else f"{text} AS {identifier(item.alias)}"


def _group(group: Group) -> str:
    if group.kind == "plain":
        return write(group.lists[0][0])
    words = {"rollup": "ROLLUP", "cube": "CUBE", "sets": "GROUPING SETS"}
    return f"{words[group.kind]} ({', '.join(map(_list, group.lists))})"


def _list(expressions: tuple[Expression, ...]) -> str:
    listed = ", ".join(map(write, expressions))
    return listed if len(expressions) == 1 and not listed.startswith("(") else f"({listed})"


def _order(order: Order) -> str:
    return (
        write(order.expression)
        + (" DESC" if order.descending else "")
        + (" NULLS FIRST" if order.nulls_first else "")
    )


def in_order(expression: Expression) -> Expression:
    """The same expression with everything in one order that may stand in any."""
    match expression:
        case Call("in", (tested, *values)):
            return Call("in", (in_order(tested), *sorted(map(in_order, values), key=write)))
        case Call(name, arguments):
            parts = tuple(map(in_order, arguments))
            return Call(name, tuple(sorted(parts, key=write)) if name in ("and", "or", "+", "*") else parts)
        case Case(operand, branches, otherwise):
            return Case(
                None if operand is None else in_order(operand),
                tuple((in_order(condition), in_order(value)) for condition, value in branches),
                None if otherwise is None else in_order(otherwise),
            )
        case _:
            return expression
