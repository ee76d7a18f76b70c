"""Values of an answer: exact until the end, with null and suppressed as values of their own.

Numbers are fractions, dates and timestamps those of Python. What is computed of a suppressed value is
suppressed, unless it comes out the same whatever that value is: FALSE AND suppressed is FALSE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from kapok.computations.language.literals import SECONDS_OF
from kapok.computations.rows.calendars import part_of_day, start_of
from kapok.computations.rows.terms import INT64, Kind

__all__ = [
    "SUPPRESSED",
    "Cell",
    "Suppressed",
    "Value",
    "ValueType",
    "ValueTypeName",
    "clock_part",
    "delivered",
    "exact",
    "moment_number",
    "moment_of_seconds",
    "strict",
    "truncated_moment",
    "units_from",
]


class Suppressed(Enum):
    """The value of a cell that some holder does not show."""

    SUPPRESSED = "suppressed"


SUPPRESSED: Final = Suppressed.SUPPRESSED

Cell: TypeAlias = Fraction | str | bool | date | datetime | Suppressed | None
"""While an answer is computed."""

Value: TypeAlias = int | Decimal | float | str | bool | date | datetime | None
"""As an answer has it."""

ValueTypeName: TypeAlias = Literal["int64", "decimal", "float64", "text", "boolean", "date", "timestamp"]

_DECIMAL_DIGITS: Final = 38
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a value, known from the question and the schema alone, never from the value.

    Attributes:
        kind: Of the value; ``null`` for NULL alone.
        decimals: Of a number that is exact in decimals, None of any other.
        largest: Bound of the magnitude of a number that is exact in decimals.
        unit: For people.
    """

    kind: Kind
    decimals: int | None = None
    largest: Fraction = Fraction(0)
    unit: str = ""

    @property
    def name(self) -> ValueTypeName:
        """What an answer's column of it is called."""
        if self.kind == "number" or self.kind == "null":
            if self.decimals is None or self.largest * 10**self.decimals >= 10**_DECIMAL_DIGITS:
                return "float64"
            return "int64" if self.decimals == 0 and self.largest <= INT64 else "decimal"
        return self.kind


def exact(scale: Fraction, largest: Fraction, unit: str = "") -> ValueType:
    """The type of whole multiples of a scale: exact where that has finitely many decimals."""
    decimals, rest = 0, scale.denominator
    while rest % 10 == 0:
        decimals, rest = decimals + 1, rest // 10
    while rest % 5 == 0 or rest % 2 == 0:
        decimals, rest = decimals + 1, rest // (5 if rest % 5 == 0 else 2)
    if rest != 1 or decimals >= _DECIMAL_DIGITS:
        return ValueType("number", None, Fraction(0), unit)
    return ValueType("number", decimals, largest, unit)


def delivered(cell: Cell, kind: ValueType) -> Value:
    """The value as an answer has it: a fraction correctly rounded where it is none of the exact types."""
    if not isinstance(cell, Fraction):
        return None if isinstance(cell, Suppressed) else cell
    match kind.name:
        case "int64":
            return int(cell)
        case "decimal":
            steps = int(cell * 10 ** (kind.decimals or 0))
            digits = tuple(map(int, str(abs(steps))))
            return Decimal((int(steps < 0), digits, -(kind.decimals or 0)))
        case _:
            try:
                # True division of integers rounds correctly, however large they are.
                return cell.numerator / cell.denominator
            except OverflowError:
                return float("-inf") if cell < 0 else float("inf")


def strict(function: Callable[..., Cell]) -> Callable[..., Cell]:
    """The function, suppressed where an argument is, and null where one is."""

    def called(*cells: Cell) -> Cell:
        if SUPPRESSED in cells:
            return SUPPRESSED
        return None if None in cells else function(*cells)

    return called


def moment_number(moment: date | datetime) -> int:
    """Seconds since 1970-01-01."""
    if isinstance(moment, datetime):
        since = moment - _EPOCH
        return since.days * 86_400 + since.seconds
    return (moment - _EPOCH.date()).days * 86_400


def moment_of_seconds(seconds: int) -> datetime:
    """The moment so many seconds after 1970-01-01."""
    return _EPOCH + timedelta(seconds=seconds)


def clock_part(name: str, moment: date | datetime) -> Fraction:
    """YEAR, …, SECOND of a day or a moment."""
    if name in ("hour", "minute", "second"):
        return Fraction(getattr(moment, name))
    day = moment.date() if isinstance(moment, datetime) else moment
    return Fraction(part_of_day(name, day))


def truncated_moment(unit: str, moment: date | datetime) -> date | datetime:
    """DATE_TRUNC."""
    day = moment.date() if isinstance(moment, datetime) else moment
    if unit in ("year", "quarter", "month", "week"):
        start = start_of(unit, day)
        return datetime(start.year, start.month, start.day) if isinstance(moment, datetime) else start
    if not isinstance(moment, datetime):
        return moment
    seconds = moment_number(moment)
    return _EPOCH + timedelta(seconds=seconds - seconds % SECONDS_OF[unit])


def units_from(unit: str, start: date | datetime, end: date | datetime) -> Fraction:
    """DATE_DIFF."""
    return Fraction(_units(unit, end) - _units(unit, start))


def _units(unit: str, moment: date | datetime) -> int:
    if unit in ("year", "quarter", "month"):
        per_year = {"year": 1, "quarter": 4, "month": 12}[unit]
        return moment.year * per_year + (moment.month - 1) * per_year // 12
    shift = 3 * 86_400 if unit == "week" else 0
    return (moment_number(moment) + shift) // SECONDS_OF[unit]
