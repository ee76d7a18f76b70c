"""Dates and timestamps as whole numbers: days or seconds since 1970-01-01, in UTC by convention.

Each has one written form, ``2013-01-31`` and ``2013-01-31T05:00:00``, in the Gregorian calendar's years 0001
to 9999. There are no leap seconds.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final

from kapok.errors import InvalidInput

__all__ = ["date_of", "days_of", "seconds_of", "timestamp_of"]

_EPOCH: Final = datetime(1970, 1, 1)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\Z")
_ZONE: Final = re.compile(r"(Z|z|[+-][0-9]{2}:?[0-9]{2})\Z")
_FRACTION: Final = re.compile(r":[0-9]{2}[.,][0-9]+\Z")


def days_of(text: str) -> int:
    """Days since 1970-01-01.

    Raises:
        InvalidInput: ``bad_date`` when the text is not a date of the calendar in its one form.
    """
    if not _DATE.match(text):
        raise _bad("a date that is not written as one", "2013-01-31")
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH.toordinal()
    except ValueError:
        raise _bad("a date that no calendar has", "2013-01-31") from None


def seconds_of(text: str) -> int:
    """Seconds since 1970-01-01T00:00:00.

    Raises:
        InvalidInput: ``bad_date`` when the text is not a timestamp in its one form: to the second, no zone.
    """
    if not _TIMESTAMP.match(text):
        if ":" in text and _ZONE.search(text):
            raise _bad("a timestamp with a time zone", "2013-01-31T05:00:00, in UTC and without the zone")
        if _FRACTION.search(text):
            raise _bad("a timestamp between two seconds", "2013-01-31T05:00:00")
        raise _bad("a timestamp that is not written as one", "2013-01-31T05:00:00")
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        raise _bad("a timestamp that no calendar and clock have", "2013-01-31T05:00:00") from None
    return since.days * 86_400 + since.seconds


def date_of(days: int) -> str:
    """The date that many days after 1970-01-01, as it is written."""
    return date.fromordinal(_EPOCH.toordinal() + days).isoformat()


def timestamp_of(seconds: int) -> str:
    """The timestamp that many seconds after 1970-01-01T00:00:00, as it is written."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _bad(what: str, form: str) -> InvalidInput:
    return InvalidInput(f"there is {what}", code="bad_date", remedy=f"write it as {form}")
