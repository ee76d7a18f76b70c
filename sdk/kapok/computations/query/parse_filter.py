"""From the parser's tree to a condition: WHERE, typed against the dataset's columns."""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from sqlglot import exp

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
    Operator,
    Text,
    Truth,
    TruthTest,
    fields_of,
)
from kapok.computations.query.hints import refuse, shown
from kapok.computations.query.names import column_of, unsupported
from kapok.computations.query.ranges import Ranges, aligned
from kapok.computations.query.reading import strict
from kapok.computations.query.writing import number_text
from kapok.documents.dataset import Column, Dataset
from kapok.errors import near

__all__ = ["parse_filter"]

_COMPARISONS: Final[dict[type[exp.Expr], Operator]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: Final[dict[type[exp.Expr], Literal["+", "-", "*"]]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
}
_CONDITIONS: Final = {exp.And, exp.Or, exp.Not, exp.Between, exp.In, exp.Is}
_NUMBER: Final = re.compile(r"([0-9]*)\.?([0-9]*)\Z")
_MOST_DIGITS: Final = 18
_MOST_DEPTH: Final = 64
_MOST_SEARCHED: Final = 200
_MOST_SHOWN: Final = 20

Kind = Literal["number", "text", "boolean", "date", "timestamp"]


def parse_filter(node: exp.Expr, dataset: Dataset) -> Condition:
    """Read a WHERE clause.

    Raises:
        InvalidInput: see `Question.parse`.
    """
    return _Filter(dataset).condition(node, 0)


class _Filter:
    """Walks one WHERE clause. Whatever is not named here is refused."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._ranges = Ranges(dataset)

    def condition(self, node: exp.Expr, depth: int) -> Condition:
        if depth > _MOST_DEPTH:
            raise refuse("WHERE is nested too deeply", "simplify it", "question_too_long")
        kind = type(node)
        if kind is exp.Paren:
            strict(node, "this")
            return self.condition(node.this, depth + 1)
        if kind is exp.And or kind is exp.Or:
            return self._joined(node, depth)
        if kind is exp.Not:
            strict(node, "this")
            return Not(self.condition(node.this, depth + 1))
        if kind in _COMPARISONS:
            strict(node, "this", "expression")
            left, right = self._operand(node.this, depth + 1), self._operand(node.expression, depth + 1)
            return self._comparison(_COMPARISONS[kind], left, right)
        if kind is exp.Between:
            return self._between(node, depth)
        if kind is exp.In:
            return self._membership(node, depth)
        if kind is exp.Is:
            return self._is(node, depth)
        if kind is exp.Boolean:
            return Truth(bool(node.this))
        if kind is exp.Column:
            column = column_of(node, self._dataset)
            if column.type != "boolean":
                raise refuse(
                    f"column {column.name} is not true or false by itself",
                    f"compare it, e.g. {column.name} = … or {column.name} IS NOT NULL",
                    "type_mismatch",
                )
            return Flag(column.name)
        raise unsupported(node)

    def _joined(self, node: exp.Expr, depth: int) -> Condition:
        # A chain hangs to the left, as deep as it is long: followed in a loop, never by recursion.
        kind, parts, rest = type(node), [], node
        while type(rest) is kind:
            strict(rest, "this", "expression")
            parts.append(rest.expression)
            rest = rest.this
        parts.append(rest)
        joined: list[Condition] = []
        same = AllOf if kind is exp.And else AnyOf
        for part in reversed(parts):
            inner = self.condition(part, depth + 1)
            joined.extend(inner.conditions if isinstance(inner, same) else [inner])
        return same(tuple(joined))

    def _between(self, node: exp.Expr, depth: int) -> Condition:
        strict(node, "this", "low", "high")
        operand, low, high = (self._operand(node.args[part], depth + 1) for part in ("this", "low", "high"))
        return AllOf((self._comparison(">=", operand, low), self._comparison("<=", operand, high)))

    def _is(self, node: exp.Expr, depth: int) -> Condition:
        strict(node, "this", "expression")
        if type(node.expression) is exp.Null:
            operand = self._operand(node.this, depth + 1)
            self._kind(operand)
            if next(fields_of(operand), None) is None:
                raise refuse("IS NULL needs a column", "a literal is never null", "type_mismatch")
            return NullTest(operand)
        if type(node.expression) is exp.Boolean:
            return TruthTest(self.condition(node.this, depth + 1), bool(node.expression.this))
        raise refuse("IS goes with NULL, TRUE or FALSE", "use = for values")

    def _membership(self, node: exp.Expr, depth: int) -> Condition:
        strict(node, "this", "expressions")
        operand = self._operand(node.this, depth + 1)
        values: dict[Number | Text | Truth, None] = {}
        for value in node.expressions:
            literal = self._operand(value, depth + 1)
            if not isinstance(literal, Number | Text | Truth):
                raise refuse("IN lists literals only", "compare columns with = and OR")
            self._check_equality(operand, literal)
            values[literal] = None
        if not values:
            raise refuse("IN lists nothing", "write the values in parentheses", "bad_sql")
        if self._kind(operand) == "number":
            # The engine compares them all in the steps of the finest: one by one they would fit too easily.
            aligned(*map(self._ranges.of, (operand, *values)))
        return Membership(operand, tuple(values))

    def _comparison(self, operator: Operator, left: Operand, right: Operand) -> Comparison:
        if self._check_kinds(left, right) == "number":
            aligned(self._ranges.of(left), self._ranges.of(right))
        elif operator not in ("=", "<>"):
            raise refuse("only numbers have an order here", "compare with =, <> or IN", "type_mismatch")
        if operator in ("=", "<>"):
            self._check_equality(left, right)
        return Comparison(operator, left, right)

    def _check_kinds(self, left: Operand, right: Operand) -> Kind:
        kinds = {self._kind(left), self._kind(right)}
        if len(kinds) > 1:
            raise refuse(
                f"{_named(left)} is a {self._kind(left)} and {_named(right)} a {self._kind(right)}",
                "numbers stand without quotes, texts in single quotes, booleans are TRUE and FALSE",
                "type_mismatch",
            )
        return self._kind(left)

    def _check_equality(self, left: Operand, right: Operand) -> None:
        if self._check_kinds(left, right) != "number" and not (
            isinstance(left, Field) or isinstance(right, Field)
        ):
            raise refuse("a comparison needs a column", "compare a column with the literal", "type_mismatch")
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Field) and isinstance(other, Number | Text):
                _check_domain(self._dataset.column(one.name), other)

    def _operand(self, node: exp.Expr, depth: int) -> Operand:
        if depth > _MOST_DEPTH:
            raise refuse("an expression is nested too deeply", "simplify it", "question_too_long")
        kind = type(node)
        if kind is exp.Paren:
            strict(node, "this")
            return self._operand(node.this, depth + 1)
        if kind is exp.Literal:
            strict(node, "this", "is_string")
            return Text(str(node.this)) if node.args["is_string"] else _number(str(node.this))
        if kind is exp.Boolean:
            return Truth(bool(node.this))
        if kind is exp.Column:
            return Field(column_of(node, self._dataset).name)
        if kind is exp.Neg:
            strict(node, "this")
            inner = self._operand(node.this, depth + 1)
            if isinstance(inner, Number):
                return Number(-inner.units, inner.decimals)
            return self._arithmetic("-", Number(0), inner)
        if kind in _ARITHMETIC:
            strict(node, "this", "expression")
            left, right = self._operand(node.this, depth + 1), self._operand(node.expression, depth + 1)
            return self._arithmetic(_ARITHMETIC[kind], left, right)
        if kind in _COMPARISONS or kind in _CONDITIONS:
            raise refuse(
                "a condition stands where a value belongs",
                "join conditions with AND, OR, NOT; test them with IS TRUE, IS FALSE",
                "type_mismatch",
            )
        if kind is exp.Null:
            raise refuse("a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
        raise unsupported(node)

    def _arithmetic(self, operator: Literal["+", "-", "*"], left: Operand, right: Operand) -> Operand:
        for side in (left, right):
            if self._kind(side) != "number":
                raise refuse(
                    f"{operator} needs numbers, and {_named(side)} is a {self._kind(side)}",
                    "calculate with numeric columns and literals only",
                    "type_mismatch",
                )
        whole = Arithmetic(operator, left, right)
        self._ranges.of(whole)
        return whole

    def _kind(self, operand: Operand) -> Kind:
        match operand:
            case Field(name):
                column = self._dataset.column(name)
                return "number" if column.type in ("integer", "decimal") else cast("Kind", column.type)
            case Text():
                return "text"
            case Truth():
                return "boolean"
            case Number() | Arithmetic():
                return "number"


def _named(operand: Operand) -> str:
    match operand:
        case Field(name):
            return f"column {name}"
        case Text(value):
            return shown(value)
        case Truth(value):
            return "TRUE" if value else "FALSE"
        case Number():
            return "the number"
        case Arithmetic():
            return "the expression"


def _number(text: str) -> Number:
    found = _NUMBER.match(text)
    if found is None or len(found[1] + found[2]) > _MOST_DIGITS or not found[1] + found[2]:
        raise refuse(
            f"{shown(text)} is not a number that can be used here",
            f"write at most {_MOST_DIGITS} digits, with a decimal point if needed, without exponent",
            "bad_sql",
        )
    fraction = found[2].rstrip("0")
    return Number(int((found[1] + fraction) or "0"), len(fraction))


def _check_domain(column: Column, literal: Number | Text) -> None:
    if column.domain is None:
        return
    value = literal.value if isinstance(literal, Text) else literal.units
    if value in column.known and not (isinstance(literal, Number) and literal.decimals):
        return
    known = [str(known) for known in column.domain[:_MOST_SEARCHED]]
    # To compare with each of a long domain would take the node, which parses what others wrote, too long.
    search = isinstance(literal, Text) and len(column.domain) <= _MOST_SEARCHED
    meant = near(str(value), known) if search else []
    what = shown(literal.value) if isinstance(literal, Text) else number_text(literal)
    guess = "did you mean " + " or ".join(map(repr, meant)) + "? " if meant else ""
    raise refuse(
        f"{what} is not in the domain of {column.name}",
        f"{guess}the domain is {_listed(known, len(column.domain))}",
        "outside_domain",
    )


def _listed(known: list[str], count: int) -> str:
    shown_of = ", ".join(known[:_MOST_SHOWN])
    return shown_of if count <= _MOST_SHOWN else f"{shown_of} and {count - _MOST_SHOWN:,} more"
