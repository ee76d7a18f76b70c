"""Literals: numbers to the last digit, days, moments and spans of time."""

from __future__ import annotations

import re
from typing import Final, cast

from kapok.computations.language.hints import refuse, shown
from kapok.computations.language.syntax import Day, Moment, Number, Span, Unit
from kapok.documents.dates import days_of, seconds_of
from kapok.errors import InvalidInput

__all__ = ["SECONDS_OF", "day_of", "moment_of", "number_of", "number_text", "span_of"]

SECONDS_OF: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
"""Seconds of the units that are always equally long."""

_NUMBER: Final = re.compile(r"([0-9]*)\.?([0-9]*)\Z")
_SPAN: Final = re.compile(r"(-?)\s*([0-9]{1,9})\s*([a-z]*)\Z")
_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.0*)?)?\Z"
)
_MOST_DIGITS: Final = 18


def number_of(text: str) -> Number:
    """The number as it is written.

    Raises:
        InvalidInput: ``bad_sql``: too many digits.
    """
    found = _NUMBER.match(text)
    if found is None or len(found[1] + found[2]) > _MOST_DIGITS or not found[1] + found[2]:
        raise refuse(
            f"{shown(text)} is not a number that can be used here",
            f"write at most {_MOST_DIGITS} digits, with a decimal point if needed, without exponent",
            "bad_sql",
        )
    fraction = found[2].rstrip("0")
    return Number(int((found[1] + fraction) or "0"), len(fraction))


def number_text(number: Number) -> str:
    """The number in plain decimal notation."""
    digits = str(abs(number.units)).rjust(number.decimals + 1, "0")
    whole = len(digits) - number.decimals
    sign = "-" if number.units < 0 else ""
    return sign + digits[:whole] + ("." + digits[whole:] if number.decimals else "")


def day_of(text: str) -> Day:
    """The day that ``DATE 'text'`` is.

    Raises:
        InvalidInput: ``bad_sql``.
    """
    try:
        return Day(days_of(text))
    except InvalidInput:
        raise refuse(f"{shown(text)} is no date", "write DATE '2013-01-31'", "bad_sql") from None


def moment_of(text: str) -> Moment:
    """The moment that ``TIMESTAMP 'text'`` is: midnight where no time is given.

    Raises:
        InvalidInput: ``bad_sql``.
    """
    found = _MOMENT.match(text)
    try:
        if found is None:
            raise refuse("", "", "bad_sql")
        return Moment(seconds_of(f"{found[1]}T{found[2] or '00:00'}{found[3] or ':00'}"))
    except InvalidInput:
        raise refuse(
            f"{shown(text)} is no timestamp to the second",
            "write TIMESTAMP '2013-01-31 05:00:00', in UTC and without a zone",
            "bad_sql",
        ) from None


def span_of(text: str, unit: str | None, *, negative: bool) -> Span:
    """The span of ``INTERVAL text unit``; the unit may stand in the text.

    Raises:
        InvalidInput: ``bad_sql`` or ``unsupported_sql``.
    """
    found = _SPAN.match(text.strip().lower())
    named = (unit or (found[3] if found else "")).lower().removesuffix("s")
    if found is None or (unit and found[3]) or not named:
        raise refuse(f"{shown(text)} is no interval", "write INTERVAL 3 DAY", "bad_sql")
    if named not in SECONDS_OF:
        raise refuse(
            f"INTERVAL is not counted in {named.upper()}S: they are not equally long",
            "write days, or compare YEAR(d) and MONTH(d)",
        )
    amount = int(found[2]) * (-1 if negative != (found[1] == "-") else 1)
    return Span(amount, cast("Unit", named))
