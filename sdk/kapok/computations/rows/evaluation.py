"""Operations on rows in NumPy: what an engine computes, for rows in memory, such as an analyst's own.

It gives what `engine_terms` has engines give, and serves where there is no engine. Each value goes with
whether it is known; an operation on what is not known is not known, where SQL says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kapok.computations.rows.operations import (
    Choice,
    Code,
    Fact,
    Field,
    Nothing,
    Operation,
    Quoted,
    Table,
    Whole,
)

__all__ = ["Known", "evaluated"]

_EPOCH: Final = date(1970, 1, 1)
_Array: TypeAlias = npt.NDArray[Any]


class Known(NamedTuple):
    """Values of some rows.

    Attributes:
        values: Whole numbers as int64 or as Python integers, texts as objects, truth as bool.
        known: Whether each is known; the others mean nothing.
    """

    values: _Array
    known: npt.NDArray[np.bool_]


def evaluated(code: Code, columns: Mapping[str, Known], rows: int) -> Known:
    """What the operations give in each row.

    Args:
        code: As `kapok.computations.rows.meaning` made it.
        columns: By name, encoded as `kapok.computations.encoding` says.
        rows: How many.
    """

    def of(part: Code) -> Known:
        return evaluated(part, columns, rows)

    match code:
        case Field(name):
            return columns[name]
        case Whole(value):
            return Known(np.full(rows, value, dtype=np.int64 if abs(value) < 2**63 else object), _all(rows))
        case Quoted(value):
            return Known(np.full(rows, value, dtype=object), _all(rows))
        case Fact(value):
            return Known(np.full(rows, value), _all(rows))
        case Nothing():
            return Known(np.zeros(rows, dtype=np.int64), ~_all(rows))
        case Choice(branches, otherwise):
            last = of(Nothing() if otherwise is None else otherwise)
            return _chosen([(of(test), of(value)) for test, value in branches], last)
        case Table(part, table):
            return _looked_up(of(part), [(of(result), inputs) for result, inputs in table], rows)
        case Operation(name, parts, numbers):
            return _operation(name, [of(part) for part in parts], numbers)


def _all(rows: int) -> npt.NDArray[np.bool_]:
    return np.ones(rows, dtype=bool)


def _chosen(branches: Sequence[tuple[Known, Known]], otherwise: Known) -> Known:
    values, known = otherwise
    for test, value in reversed(branches):
        taken = test.known & test.values.astype(bool)
        values = np.where(taken, value.values, values)
        known = np.where(taken, value.known, known)
    return Known(values, known)


def _looked_up(part: Known, table: Sequence[tuple[Known, Sequence[Whole | Quoted]]], rows: int) -> Known:
    values: _Array | None = None
    known = np.zeros(rows, dtype=bool)
    for result, inputs in reversed(table):
        among = part.known & np.isin(part.values, [one.value for one in inputs])
        values = result.values if values is None else np.where(among, result.values, values)
        known = known | among
    return Known(np.zeros(rows, dtype=np.int64) if values is None else values, known)


def _operation(name: str, parts: list[Known], numbers: tuple[int, ...]) -> Known:
    if name in _LOGIC:
        return _LOGIC[name](parts)
    if name in _DOUBLES:
        return _double(name, parts[0], numbers)
    if name == "in":
        found = np.zeros(len(parts[0].values), dtype=bool)
        for one in parts[1:]:
            found |= np.asarray(parts[0].values == one.values, dtype=bool)
        return Known(found, parts[0].known)
    known = np.logical_and.reduce([part.known for part in parts])
    if name in ("quotient", "wide quotient", "mod"):
        known = known & (parts[1].values != 0)
    values = [np.where(known, part.values, 1) if name in _DIVISIONS else part.values for part in parts]
    return Known(_PLAIN[name](*values), known)


def _cut(top: _Array, bottom: _Array) -> _Array:
    """A quotient cut towards zero."""
    found: _Array = np.abs(top) // np.abs(bottom)
    return np.where((top < 0) == (bottom < 0), found, -found)


def _rest(top: _Array, bottom: _Array) -> _Array:
    found: _Array = top - _cut(top, bottom) * bottom
    return found


def _and(parts: list[Known]) -> Known:
    false = np.logical_or.reduce([part.known & ~part.values.astype(bool) for part in parts])
    known = np.logical_and.reduce([part.known for part in parts])
    return Known(~false, false | known)


def _or(parts: list[Known]) -> Known:
    true = np.logical_or.reduce([part.known & part.values.astype(bool) for part in parts])
    known = np.logical_and.reduce([part.known for part in parts])
    return Known(true, true | known)


def _first_known(parts: list[Known]) -> Known:
    values, known = parts[-1]
    for part in reversed(parts[:-1]):
        values, known = np.where(part.known, part.values, values), part.known | known
    return Known(values, known)


def _extreme(choose: Callable[[_Array, _Array], _Array]) -> Callable[[list[Known]], Known]:
    """The greatest or least of those that are known."""

    def function(parts: list[Known]) -> Known:
        values, known = parts[0]
        for part in parts[1:]:
            both = known & part.known
            values = np.where(both, choose(values, part.values), np.where(known, values, part.values))
            known = known | part.known
        return Known(values, known)

    return function


def _tested(wanted: bool) -> Callable[[list[Known]], Known]:
    def function(parts: list[Known]) -> Known:
        [part] = parts
        return Known(part.known & (part.values.astype(bool) == wanted), _all(len(part.known)))

    return function


_LOGIC: Final[dict[str, Callable[[list[Known]], Known]]] = {
    "and": _and,
    "or": _or,
    "not": lambda parts: Known(~parts[0].values.astype(bool), parts[0].known),
    "is null": lambda parts: Known(~parts[0].known, _all(len(parts[0].known))),
    "is true": _tested(True),
    "is false": _tested(False),
    "coalesce": _first_known,
    "greatest": _extreme(np.maximum),
    "least": _extreme(np.minimum),
}
_DIVISIONS: Final = frozenset({"quotient", "wide quotient", "mod"})


def _of_days(function: Callable[[date], int]) -> Callable[[_Array], _Array]:
    def each(days: _Array) -> _Array:
        return np.array([function(_EPOCH + timedelta(days=int(day))) for day in days], dtype=np.int64)

    return each


def _since(day: date) -> int:
    return (day - _EPOCH).days


_PLAIN: Final[dict[str, Callable[..., _Array]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "=": np.equal,
    "<>": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "quotient": _cut,
    "wide quotient": _cut,
    "mod": _rest,
    "wide": lambda values: values.astype(object),
    "narrow": lambda values: values.astype(np.int64),
    "||": np.add,
    "year": _of_days(lambda day: day.year),
    "quarter": _of_days(lambda day: (day.month + 2) // 3),
    "month": _of_days(lambda day: day.month),
    "week": _of_days(lambda day: day.isocalendar().week),
    "day": _of_days(lambda day: day.day),
    "dayofweek": _of_days(lambda day: day.isoweekday() % 7),
    "isodow": _of_days(lambda day: day.isoweekday()),
    "dayofyear": _of_days(lambda day: day.timetuple().tm_yday),
    "year start": _of_days(lambda day: _since(day.replace(month=1, day=1))),
    "quarter start": _of_days(lambda day: _since(day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1))),
    "month start": _of_days(lambda day: _since(day.replace(day=1))),
}


def _double(name: str, part: Known, numbers: tuple[int, ...]) -> Known:
    """A function in doubles, rounded to fixed point, halves up."""
    top, bottom, decimals, *exponent = numbers
    function = _DOUBLES[name]
    found = np.zeros(len(part.known), dtype=np.int64)
    for place in np.flatnonzero(part.known):
        value = float(part.values[place])
        value = value * top if top != 1 else value
        value = value / bottom if bottom != 1 else value
        computed = value ** (exponent[0] / exponent[1]) if exponent else function(value)
        found[place] = math.floor(computed * 10**decimals + 0.5)
    return Known(found, part.known)


_DOUBLES: Final[dict[str, Callable[[float], float]]] = {
    "sqrt": math.sqrt,
    "ln": math.log,
    "log10": math.log10,
    "log2": lambda value: math.log(value) / math.log(2.0),
    "exp": math.exp,
    "power": math.sqrt,
}
