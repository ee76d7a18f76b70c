"""Operators and functions on values of an answer, with the types of their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final, TypeAlias

from kapok.computations.language.hints import refuse
from kapok.computations.language.literals import SECONDS_OF
from kapok.computations.language.syntax import Call, Expression, Number, Span, Text
from kapok.computations.query.answers.values import (
    SUPPRESSED,
    Cell,
    ValueType,
    clock_part,
    strict,
    truncated_moment,
    units_from,
)
from kapok.computations.rows.arithmetic import rounded
from kapok.computations.rows.calendars import DATE_FUNCTIONS
from kapok.computations.rows.maths import MATHS, power_of, value_of
from kapok.computations.rows.terms import Term, constant, text
from kapok.computations.rows.texts import TEXT_FUNCTIONS, checked_arguments, text_function

__all__ = ["CALLS", "case_of", "typed_call"]

Function: TypeAlias = Callable[..., Cell]
Typed: TypeAlias = tuple[Function, ValueType]

_BOOLEAN: Final = ValueType("boolean")
_REAL: Final = ValueType("number")
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "mod"})
_ROUNDING: Final = frozenset({"round", "floor", "ceil", "trunc"})
_UNARY: Final = frozenset({"neg", "abs", "sign"})
_MANY: Final = frozenset({"coalesce", "nullif", "greatest", "least"})
_LOGIC: Final = frozenset({"and", "or", "not", "is null", "is true", "is false"})
_JOINS: Final = frozenset({"||", "concat"})

CALLS: Final = frozenset(
    {
        *_COMPARISONS,
        *_ARITHMETIC,
        *_ROUNDING,
        *_UNARY,
        *_MANY,
        *_LOGIC,
        *_JOINS,
        *MATHS,
        *TEXT_FUNCTIONS,
        *DATE_FUNCTIONS,
        *("power", "in", "between", "date_trunc", "date_diff"),
    }
)
"""What can be computed after aggregation."""

_MOST_POWER: Final = 64


def typed_call(name: str, arguments: Sequence[Expression], types: Sequence[ValueType]) -> Typed:
    """The function that a call is, and its result's type.

    Raises:
        InvalidInput: ``type_mismatch`` or ``bad_sql``.
    """
    if name in _COMPARISONS:
        _one_kind(name, types)
        compare = _COMPARISONS[name]
        return strict(lambda one, other: compare(*_same(one, other))), _BOOLEAN
    if name in _LOGIC:
        return _logic(name, types)
    if name in _ARITHMETIC:
        return _arithmetic(name, arguments, types)
    if name in ("in", "between"):
        return _listed(name, types)
    if name in _MANY:
        return _chosen(name, types)
    if name in TEXT_FUNCTIONS:
        return _of_text(name, arguments, types)
    if name in _JOINS:
        return _joined(name, types)
    if name in DATE_FUNCTIONS or name in ("date_trunc", "date_diff"):
        return _of_date(name, arguments, types)
    return _of_number(name, arguments, types)


def case_of(tests: Sequence[ValueType], values: Sequence[ValueType]) -> tuple[Function, ValueType]:
    """CASE, as a function of the line and of its parts' functions."""
    for test in tests:
        _needs("WHEN", test, "boolean")
    kind = _unified("CASE", values)

    def evaluate(line: object, conditions: Sequence[Function], results: Sequence[Function]) -> Cell:
        for number, condition in enumerate(conditions):
            held = condition(line)
            if held is SUPPRESSED:
                return SUPPRESSED
            if held is True:
                return results[number](line)
        return results[-1](line) if len(results) > len(conditions) else None

    return evaluate, kind


def _count(name: str, types: Sequence[object], least: int, most: int) -> None:
    if not least <= len(types) <= most:
        many = str(least) if least == most else f"{least} to {most}"
        raise refuse(f"{name.upper()} takes {many} arguments", "write them in parentheses", "bad_sql")


def _needs(name: str, kind: ValueType, *kinds: str) -> None:
    if kind.kind not in kinds:
        raise refuse(
            f"{name.upper()} needs a {' or a '.join(kinds)}, and gets a {kind.kind}",
            "numbers stand without quotes, texts in single quotes",
            "type_mismatch",
        )


def _one_kind(name: str, types: Sequence[ValueType]) -> None:
    kinds = {kind.kind for kind in types}
    if "null" in kinds and name not in ("CASE", "coalesce", "nullif"):
        raise refuse("a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
    if len(kinds - {"null"}) > 1 and kinds != {"date", "timestamp"}:
        raise refuse(
            f"{name.upper()} gets " + " and ".join(f"a {kind}" for kind in sorted(kinds)),
            "numbers stand without quotes, texts in single quotes",
            "type_mismatch",
        )


def _unified(name: str, types: Sequence[ValueType]) -> ValueType:
    _one_kind(name, types)
    known = [kind for kind in types if kind.kind != "null"]
    if not known:
        raise refuse(f"{name.upper()} is always NULL", "give it a value", "type_mismatch")
    units = {kind.unit for kind in known}
    unit = units.pop() if len(units) == 1 else ""
    decimals = [kind.decimals for kind in known]
    if known[0].kind != "number":
        return known[0]
    if None in decimals:
        return replace(_REAL, unit=unit)
    return ValueType("number", max(d or 0 for d in decimals), max(kind.largest for kind in known), unit)


def _same(one: Any, other: Any) -> tuple[Any, Any]:
    """A day beside a moment is its midnight."""
    if (
        isinstance(one, date)
        and isinstance(other, date)
        and isinstance(one, datetime) != isinstance(other, datetime)
    ):
        return tuple(  # type: ignore[return-value]
            value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            for value in (one, other)
        )
    return one, other


def _logic(name: str, types: Sequence[ValueType]) -> Typed:
    if name == "is null":
        return lambda cell: SUPPRESSED if cell is SUPPRESSED else cell is None, _BOOLEAN
    for kind in types:
        _needs(name, kind, "boolean")
    match name:
        case "not":
            return strict(lambda cell: not cell), _BOOLEAN
        case "is true" | "is false":
            expected = name == "is true"
            return lambda cell: SUPPRESSED if cell is SUPPRESSED else cell is expected, _BOOLEAN
        case _:
            decisive = name == "or"
            return lambda *cells: _joined_truth(cells, decisive=decisive), _BOOLEAN


def _joined_truth(cells: Sequence[Cell], *, decisive: bool) -> Cell:
    for first in (decisive, SUPPRESSED, None):
        if any(cell is first for cell in cells):
            return first
    return not decisive


def _listed(name: str, types: Sequence[ValueType]) -> Typed:
    for kind in types[1:]:
        _one_kind(name, (types[0], kind))
    if name == "between":

        def between(cell: Any, low: Any, high: Any) -> Cell:
            above, below = _same(low, cell), _same(cell, high)
            return bool(above[0] <= above[1] and below[0] <= below[1])

        return strict(between), _BOOLEAN
    return strict(lambda cell, *values: any(cell == value for value in values)), _BOOLEAN


def _chosen(name: str, types: Sequence[ValueType]) -> Typed:
    _count(name, types, 1 if name != "nullif" else 2, 100 if name != "nullif" else 2)
    kind = _unified(name, types)

    def coalesce(*cells: Cell) -> Cell:
        return next((cell for cell in cells if cell is not None), None)

    def nullif(cell: Cell, value: Cell) -> Cell:
        if SUPPRESSED in (cell, value):
            return SUPPRESSED
        return None if cell is not None and cell == value else cell

    def extreme(*cells: Any) -> Cell:
        if SUPPRESSED in cells:
            return SUPPRESSED
        known = [cell for cell in cells if cell is not None]
        found: Cell = (max if name == "greatest" else min)(known) if known else None
        return found

    functions: dict[str, Function] = {"coalesce": coalesce, "nullif": nullif}
    return functions.get(name, extreme), kind


def _arithmetic(name: str, arguments: Sequence[Expression], types: Sequence[ValueType]) -> Typed:
    _count(name, types, 2, 2)
    kinds = {kind.kind for kind in types}
    if kinds & {"date", "timestamp"}:
        return _moved(name, arguments, types)
    for kind in types:
        _needs(name, kind, "number")
    one, other = types
    functions: dict[str, Callable[[Fraction, Fraction], Fraction | None]] = {
        "+": lambda left, right: left + right,
        "-": lambda left, right: left - right,
        "*": lambda left, right: left * right,
        "/": lambda left, right: left / right if right else None,
    }
    function = strict(functions.get(name, _remainder))
    unit = one.unit if one.unit == other.unit and name in "+-" else ""
    if name == "/" or one.decimals is None or other.decimals is None:
        return function, replace(_REAL, unit=unit)
    if name == "*":
        return function, ValueType("number", one.decimals + other.decimals, one.largest * other.largest)
    return function, ValueType("number", max(one.decimals, other.decimals), one.largest + other.largest, unit)


def _remainder(left: Fraction, right: Fraction) -> Fraction | None:
    return left - int(left / right) * right if right else None


def _moved(name: str, arguments: Sequence[Expression], types: Sequence[ValueType]) -> Typed:
    one, other = types
    if name == "-" and one.kind == other.kind == "date":
        days = strict(lambda left, right: Fraction((left - right).days))
        return days, ValueType("number", 0, Fraction(10**7))
    dated, by = (one, other) if one.kind in ("date", "timestamp") else (other, one)
    spanned = any(isinstance(argument, Span) for argument in arguments)
    if name not in "+-" or by.kind != "number" or (dated is other and name == "-"):
        raise refuse("a date cannot be calculated with so", "add days or an interval", "type_mismatch")
    if not spanned and dated.kind == "timestamp":
        raise refuse("to a timestamp an interval is added", "write t + INTERVAL 3 HOUR", "type_mismatch")
    unit, sign = 1 if spanned else 86_400, 1 if name == "+" else -1

    def move(left: Any, right: Any) -> Cell:
        moment, number = (left, right) if dated is one else (right, left)
        try:
            moved: date = moment + timedelta(seconds=int(number * unit) * sign)
        except OverflowError:
            return None
        return moved

    return strict(move), ValueType(dated.kind)


def _literals(arguments: Sequence[Expression]) -> tuple[Term, ...]:
    terms = []
    for argument in arguments:
        match argument:
            case Text(value):
                terms.append(text(value))
            case Number(units, decimals):
                terms.append(constant(Fraction(units, 10**decimals)))
            case _:
                raise refuse("a literal is needed there", "write it out", "type_mismatch")
    return tuple(terms)


def _of_text(name: str, arguments: Sequence[Expression], types: Sequence[ValueType]) -> Typed:
    _needs(name, types[0], "text")
    of_text = text_function(name, checked_arguments(name, _literals(arguments[1:])))

    def function(cell: Any, *_: Cell) -> Cell:
        found = of_text(cell)
        return Fraction(found) if isinstance(found, int) and not isinstance(found, bool) else found

    if name == "length":
        return strict(function), ValueType("number", 0, Fraction(10**6))
    truth = name in ("starts_with", "ends_with", "contains", "like", "ilike")
    return strict(function), _BOOLEAN if truth else ValueType("text")


def _joined(name: str, types: Sequence[ValueType]) -> Typed:
    for kind in types:
        _needs(name, kind, "text")
    if name == "||":
        return strict(lambda *cells: "".join(cells)), ValueType("text")
    return (
        lambda *cells: SUPPRESSED if SUPPRESSED in cells else "".join(str(cell or "") for cell in cells),
        ValueType("text"),
    )


def _of_date(name: str, arguments: Sequence[Expression], types: Sequence[ValueType]) -> Typed:
    if name in DATE_FUNCTIONS:
        _count(name, types, 1, 1)
        _needs(name, types[0], "date", "timestamp")
        return strict(lambda cell: clock_part(name, cell)), ValueType("number", 0, Fraction(10**4))
    _count(name, types, *((2, 2) if name == "date_trunc" else (3, 3)))
    unit = arguments[0].value.lower().removesuffix("s") if isinstance(arguments[0], Text) else ""
    if unit not in (*SECONDS_OF, "year", "quarter", "month"):
        raise refuse("the unit is a text in quotes", "write 'month', 'day', …", "type_mismatch")
    for kind in types[1:]:
        _needs(name, kind, "date", "timestamp")
    if name == "date_trunc":
        return strict(lambda _, cell: truncated_moment(unit, cell)), types[1]
    return strict(lambda _, start, end: units_from(unit, start, end)), ValueType(
        "number", 0, Fraction(10**12)
    )


def _of_number(name: str, arguments: Sequence[Expression], types: Sequence[ValueType]) -> Typed:
    kind = types[0] if types else _REAL
    for one in types:
        _needs(name, one, "number")
    if name in MATHS:
        _count(name, types, 1, 1)
        return strict(lambda cell: value_of(name, cell)), _REAL
    if name == "power":
        _count(name, types, 2, 2)
        return strict(_power), _REAL
    if name in _UNARY:
        _count(name, types, 1, 1)
        return _unary(name, kind)
    _count(name, types, 1, 2 if name in ("round", "trunc") else 1)
    places = 0
    if len(arguments) > 1:
        places = _whole(arguments[1])
    step = Fraction(10) ** -places

    def cut(cell: Fraction, *_: Cell) -> Fraction:
        return rounded(cell / step, name) * step  # type: ignore[arg-type]

    decimals = None if kind.decimals is None else max(0, min(kind.decimals, places))
    return strict(cut), ValueType("number", decimals, kind.largest + step, kind.unit)


def _unary(name: str, kind: ValueType) -> Typed:
    match name:
        case "neg":
            return strict(lambda cell: -cell), kind
        case "abs":
            return strict(abs), kind
        case _:
            sign = strict(lambda cell: Fraction((cell > 0) - (cell < 0)))
            return sign, ValueType("number", 0, Fraction(1))


def _power(cell: Fraction, exponent: Fraction) -> Fraction | None:
    return power_of(cell, exponent) if abs(exponent) <= _MOST_POWER else None


def _whole(expression: Expression) -> int:
    match expression:
        case Number(units, 0) if abs(units) <= 18:
            return units
        case Call("neg", (Number(units, 0),)) if abs(units) <= 18:
            return -units
        case _:
            raise refuse(
                "the number of decimals is written out, at most 18", "write ROUND(x, 2)", "type_mismatch"
            )
