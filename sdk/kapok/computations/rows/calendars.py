"""Dates and moments: parts of them, their beginnings of months, differences, and spans added.

Days and seconds since 1970-01-01, in the Gregorian calendar, weeks from Monday (ISO 8601).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from math import floor
from typing import Final

from kapok.computations.language.hints import refuse, shown
from kapok.computations.language.literals import SECONDS_OF
from kapok.computations.language.syntax import Span
from kapok.computations.rows.arithmetic import add, quotient, remainder, subtract
from kapok.computations.rows.conditions import same_moments
from kapok.computations.rows.operations import Code, Operation, Whole
from kapok.computations.rows.terms import MOST_VALUES, Term, aligned, bounded, constant, mismatch, whole

__all__ = [
    "DATE_FUNCTIONS",
    "day_number",
    "difference",
    "moved",
    "part",
    "part_of_day",
    "truncated",
    "units_between",
]

_EPOCH: Final = date(1970, 1, 1)
_RANGES: Final = {
    "quarter": (1, 4),
    "month": (1, 12),
    "week": (1, 53),
    "day": (1, 31),
    "dayofweek": (0, 6),
    "isodow": (1, 7),
    "dayofyear": (1, 366),
}
_CLOCK: Final = {"hour": (3600, 24), "minute": (60, 60), "second": (1, 60)}
_STARTS: Final = ("year", "quarter", "month")

DATE_FUNCTIONS: Final = frozenset({"year", *_RANGES, *_CLOCK})
"""Functions that take a part of a date or a moment."""

_FIRST_DAY: Final = (date.min - _EPOCH).days
_LAST_DAY: Final = (date.max - _EPOCH).days


def day_number(days: int) -> date:
    """The day that many days after 1970-01-01.

    Raises:
        OverflowError: the calendar has none. No term of dates reaches so far: see `moved`.
    """
    return _EPOCH + timedelta(days=days)


def part_of_day(name: str, day: date) -> int:
    """A part of a day, by the name of its function."""
    match name:
        case "year":
            return day.year
        case "quarter":
            return (day.month + 2) // 3
        case "month":
            return day.month
        case "week":
            return day.isocalendar().week
        case "day":
            return day.day
        case "dayofweek":
            return day.isoweekday() % 7
        case "isodow":
            return day.isoweekday()
        case "dayofyear":
            return day.timetuple().tm_yday
        case _:
            raise AssertionError(name)


def start_of(name: str, day: date) -> date:
    """The first day of a day's year, quarter, month or ISO week, or the day itself."""
    match name:
        case "year":
            return day.replace(month=1, day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - timedelta(days=day.weekday()) if day.toordinal() > 7 else date.min
        case _:
            return day


def dated(what: str, term: Term) -> Term:
    """The term, if it is a date or a timestamp.

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    if term.kind not in ("date", "timestamp"):
        raise mismatch(what, term, "a date")
    return term


def in_units(term: Term, seconds: int) -> Term:
    """How many whole units of that many seconds lie between 1970-01-01 and a date or moment."""
    own = term.scale * (86_400 if term.kind == "date" else 1)
    number = replace(term, kind="number", scale=Fraction(1), values=None, column=None)
    return quotient(number, None, own / seconds, "floor")


def part(name: str, term: Term) -> Term:
    """A part of a date or a moment: YEAR, MONTH, …, HOUR, ….

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    dated(name.upper(), term)
    if name in _CLOCK:
        seconds, count = _CLOCK[name]
        if term.kind == "date":
            raise refuse(f"a date has no {name}s", "take it of a timestamp", "type_mismatch")
        units = in_units(term, seconds)
        # A remainder has the sign of what is divided: the units are moved above zero first.
        above = add(units, constant(-units.low + units.low % count)) if units.low < 0 else units
        found = remainder(above, constant(count))
        return replace(found, low=0, high=min(found.high, count - 1))
    days = in_units(term, 86_400)
    first, last = day_number(days.low), day_number(days.high)
    low, high = (first.year, last.year) if name == "year" else _RANGES[name]
    if name in ("month", "quarter") and first.year == last.year:
        low, high = part_of_day(name, first), part_of_day(name, last)
    return whole(Operation(name, (days.code,)), low, high, days)


def truncated(unit: str, term: Term) -> Term:
    """DATE_TRUNC: the beginning of a date's or moment's year, quarter, month, week, day, hour, ….

    Raises:
        InvalidInput: ``type_mismatch`` or ``unsupported_sql``.
    """
    dated("DATE_TRUNC", term)
    day = Fraction(1) if term.kind == "date" else Fraction(86_400)
    if unit in _STARTS or unit == "week":
        days = in_units(term, 86_400)
        first, last = day_number(days.low), day_number(days.high)
        if unit == "week":
            # 1970-01-01 was a Thursday.
            weeks = quotient(add(days, constant(3)), None, Fraction(1, 7), "floor")
            code: Code = Operation("-", (Operation("*", (weeks.code, Whole(7))), Whole(3)))
        else:
            code = Operation(f"{unit} start", (days.code,))
        starts = _all_starts(unit, first, last)
        low, high = ((start_of(unit, end) - _EPOCH).days for end in (first, last))
        return Term(term.kind, code, term.nullable, low, high, day, starts)
    seconds = SECONDS_OF.get(unit)
    if seconds is None:
        raise refuse(
            f"{shown(unit)} is no unit of time", "write year, quarter, month, week, day, hour or minute"
        )
    if term.kind == "date" and seconds <= SECONDS_OF["day"]:
        return term
    return bounded(replace(in_units(term, seconds), kind=term.kind, scale=Fraction(seconds)))


def _all_starts(unit: str, first: date, last: date) -> tuple[int, ...] | None:
    """The beginnings of all units from the first day to the last, as days; None where there are too many."""
    found: list[int] = []
    day = start_of(unit, first)
    while day <= last and len(found) <= MOST_VALUES:
        found.append((day - _EPOCH).days)
        try:
            if unit == "week":
                day += timedelta(days=7)
            else:
                month = day.month + {"year": 12, "quarter": 3, "month": 1}[unit]
                day = day.replace(year=day.year + (month - 1) // 12, month=(month - 1) % 12 + 1)
        except (ValueError, OverflowError):
            break
    return tuple(found) if len(found) <= MOST_VALUES else None


def moved(sign: str, term: Term, by: Term | Span) -> Term:
    """A date or moment so many days, or a span, later or earlier.

    For no value within its bounds it may leave the calendar, from 0001-01-01 to 9999-12-31: parts of a day
    outside have no bounds, engines disagree on them, and a row outside all values that a group can have
    suppresses everything. Whoever moves one person's date to the calendar's end would learn that date.

    Raises:
        InvalidInput: ``type_mismatch``, or ``number_too_large``: it could leave the calendar.
    """
    dated(sign, term)
    if isinstance(by, Span):
        seconds = by.amount * SECONDS_OF[by.unit]
        if term.kind == "date" and seconds % 86_400:
            raise refuse("a date has no hours", "add whole days, or use a timestamp", "type_mismatch")
        by = constant(Fraction(seconds, 86_400) if term.kind == "date" else seconds)
    elif by.kind != "number" or by.scale.denominator != 1 or term.kind != "date":
        raise refuse(
            "to a date whole days can be added, and to a timestamp an interval",
            "write d + 3, or t + INTERVAL 3 HOUR",
            "type_mismatch",
        )
    number = replace(term, kind="number", column=None)
    found = add(number, by) if sign == "+" else subtract(number, by)
    day = 86_400 if term.kind == "timestamp" else 1
    if floor(found.low * found.scale / day) < _FIRST_DAY or floor(found.high * found.scale / day) > _LAST_DAY:
        raise refuse(
            "a date could leave the calendar for values within the dataset's bounds",
            "move it by less: a date lies between 0001-01-01 and 9999-12-31",
            "number_too_large",
        )
    return replace(found, kind=term.kind)


def difference(left: Term, right: Term) -> Term:
    """Days between two dates.

    Raises:
        InvalidInput: ``type_mismatch``.
    """
    if left.kind != "date" or right.kind != "date":
        raise refuse(
            "the difference of two timestamps has no unit",
            "write DATE_DIFF('second', from, to), or another unit",
            "type_mismatch",
        )
    one, other = (replace(term, kind="number", column=None) for term in (left, right))
    return subtract(one, other)


def units_between(unit: str, start: Term, end: Term) -> Term:
    """DATE_DIFF: how many beginnings of that unit lie between two dates or moments.

    Raises:
        InvalidInput: ``type_mismatch`` or ``unsupported_sql``.
    """
    start, end = same_moments(dated("DATE_DIFF", start), dated("DATE_DIFF", end))
    counted = [_count(unit, term) for term in (start, end)]
    return subtract(*aligned(counted[1], counted[0]))


def _count(unit: str, term: Term) -> Term:
    """How many units of time have begun since one fixed day."""
    if unit in _STARTS:
        per_year = {"year": 1, "quarter": 4, "month": 12}[unit]
        days = in_units(term, 86_400)
        year = part("year", term)
        if per_year == 1:
            return year
        within = whole(Operation(unit, (days.code,)), 1, per_year, days)
        code = Operation("+", (Operation("*", (year.code, Whole(per_year))), within.code))
        return whole(code, year.low * per_year + 1, year.high * per_year + per_year, days)
    if unit == "week":
        return quotient(add(in_units(term, 86_400), constant(3)), None, Fraction(1, 7), "floor")
    seconds = SECONDS_OF.get(unit)
    if seconds is None or (term.kind == "date" and seconds < SECONDS_OF["day"]):
        raise refuse(
            f"{shown(unit)} is no unit of time between {term.kind}s",
            "write year, quarter, month, week or day; of timestamps also hour, minute or second",
        )
    return in_units(term, seconds)
