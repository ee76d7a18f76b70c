"""When a policy lets questions be answered, and which day a question is of: the clock on the holder's wall.

A window is ``"mon-fri 08:00-18:00"``: days of the week, then from when (inclusive) to when (exclusive) within
one day. Time zones are those of the tz database; daylight saving time is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from kapok.errors import InvalidInput

__all__ = ["Window", "first_second_of_day", "is_open", "next_day", "next_opening", "time_zone"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(r"([a-z,-]+) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})\Z")
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day on some days of the week.

    Attributes:
        days: 0 is Monday.
        begin: Minutes since midnight on the wall's clock.
        end: The same, the first that is not in it; at most 1440.
    """

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read ``"mon-fri 08:00-18:00"``, ``"sat,sun 10:00-24:00"``.

        Raises:
            InvalidInput: ``bad_hours``, with what to write.
        """
        found = _WINDOW.match(text)
        days = _days(found[1]) if found else frozenset[int]()
        begin, end = (_minutes(*found.group(2, 3)), _minutes(*found.group(4, 5))) if found else (None, None)
        if not days or begin is None or end is None:
            raise _bad(
                f"{text!r} is not a time of the week",
                'write days and times such as "mon-fri 08:00-18:00" or "sat,sun 10:00-24:00"',
            )
        if begin >= end:
            raise _bad(
                f"{text!r} is empty: it ends before it begins",
                'write the end after the beginning; a night is two, such as "mon-sun 22:00-24:00" and '
                '"mon-sun 00:00-06:00"',
            )
        return cls(days, begin, end)

    def holds(self, moment: datetime) -> bool:
        """Whether it is open at a moment of its own time zone."""
        return moment.weekday() in self.days and self.begin <= moment.hour * 60 + moment.minute < self.end


def time_zone(name: str) -> tzinfo:
    """The time zone of that name in the tz database.

    Raises:
        InvalidInput: ``bad_timezone``.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(
            f"{name!r} is no time zone that this machine knows",
            code="bad_timezone",
            remedy='write "UTC" or a name such as "Europe/Berlin"; the system needs the tz database for it',
        ) from None


def is_open(windows: Sequence[Window], moment: float, zone: tzinfo) -> bool:
    """Whether one of the windows is open at a moment, seconds since the epoch."""
    return any(window.holds(datetime.fromtimestamp(moment, zone)) for window in windows)


def next_opening(windows: Sequence[Window], moment: float, zone: tzinfo) -> datetime:
    """When the next window after a moment begins. There is at least one window: then a week has one."""
    now = datetime.fromtimestamp(moment, zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    begins = (
        (midnight + timedelta(days=ahead)).replace(hour=window.begin // 60, minute=window.begin % 60)
        for ahead in range(8)
        for window in windows
        if (now.weekday() + ahead) % 7 in window.days
    )
    return min(begin for begin in begins if begin > now)


def first_second_of_day(moment: float, zone: tzinfo) -> float:
    """When the day of a moment began there, seconds since the epoch."""
    local = datetime.fromtimestamp(moment, zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()


def next_day(moment: float, zone: tzinfo) -> datetime:
    """The next midnight there."""
    local = datetime.fromtimestamp(moment, zone) + timedelta(days=1)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _days(text: str) -> frozenset[int]:
    """Days of a list of days and ranges; empty when one of them is none."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        last = last if "-" in part else first
        if first not in _DAYS or last not in _DAYS:
            return frozenset()
        begin, end = _DAYS.index(first), _DAYS.index(last)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _minutes(hours: str, minutes: str) -> int | None:
    total = int(hours) * 60 + int(minutes)
    return total if int(minutes) < 60 and total <= _DAY_MINUTES else None


def _bad(what: str, remedy: str) -> InvalidInput:
    return InvalidInput(what, code="bad_hours", remedy=remedy)
