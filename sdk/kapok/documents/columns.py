"""One column of a dataset: its type, its public bounds or domain, and how its values become whole numbers.

Sums are taken over whole numbers only (*fixed point*): an integer is itself, a decimal is counted in steps of
its resolution, a boolean is 0 or 1. A date is a number of days and a timestamp one of seconds (`dates`), for
filters and groups. Texts, dates and timestamps are never summed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cached_property
from typing import Final, Literal

import msgspec

from kapok.documents.dates import days_of, seconds_of
from kapok.errors import InvalidInput

__all__ = [
    "LARGEST_STEPS",
    "MOST_DOMAIN",
    "NAME",
    "TEXT_REMEDY",
    "Column",
    "ColumnType",
    "DomainValue",
    "bad_dataset",
    "check_description",
    "text_fault",
]

ColumnType = Literal["integer", "decimal", "text", "boolean", "date", "timestamp"]
DomainValue = str | int | bool | None

LARGEST_STEPS: Final = 10**18 - 1
MOST_DOMAIN: Final = 10_000
MOST_TEXT: Final = 200
TEXT_REMEDY: Final = f"use 1 to {MOST_TEXT} printable characters, in Unicode's NFC form"

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
"""What a column, and a dataset, may be called."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?\Z")
_RESOLUTION: Final = re.compile(r"(1|0\.0{0,8}1)\Z")
_TYPES: Final = ("integer", "decimal", "text", "boolean", "date", "timestamp")
_MOST_DESCRIPTION: Final = 4000


def bad_dataset(message: str, remedy: str) -> InvalidInput:
    """The error of a schema that cannot be used."""
    return InvalidInput(message, code="bad_dataset", remedy=remedy)


def check_description(what: str, text: str) -> None:
    """Refuse words for people that a terminal should not print.

    Raises:
        InvalidInput: ``bad_dataset`` when the text is too long or has control characters.
    """
    if len(text) > _MOST_DESCRIPTION or any(_unprintable(char) and char != "\n" for char in text):
        raise bad_dataset(
            f"the text of {what} is too long or has control characters",
            f"write at most {_MOST_DESCRIPTION} printable characters",
        )


def text_fault(value: str) -> str | None:
    """Why a text cannot be in a domain, to be said after "a text"; None where it can."""
    if not 0 < len(value) <= MOST_TEXT:
        return "that is empty" if not value else f"of more than {MOST_TEXT} characters"
    if any(map(_unprintable, value)):
        return "with control characters or invisible ones"
    return None if unicodedata.is_normalized("NFC", value) else "with decomposed characters"


def _unprintable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


class Column(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, dict=True
):
    """One column of a dataset.

    Attributes:
        name: Lower-case SQL identifier.
        type: ``integer`` and ``decimal`` need `minimum` and `maximum`, or a `domain` (integers only);
            ``text`` needs a `domain`; ``boolean`` needs nothing; ``date`` and ``timestamp`` need `minimum`
            and `maximum`. A timestamp is exact to the second and has no time zone: UTC by convention.
        nullable: Whether a row may lack it.
        minimum: Least value, inclusive: a decimal string or an integer, ``"2013-01-31"``, or
            ``"2013-01-31T05:00:00"``.
        maximum: Largest value, inclusive.
        resolution: The step of a decimal column, ``"1"``, ``"0.1"``, … ``"0.000000001"``. Sums are exact to
            it, and filters see the value rounded to it.
        domain: The values that may occur, in the order in which groups are laid out.
        unit: For people.
        description: For people.

    Raises:
        InvalidInput: ``bad_dataset`` when these do not fit together.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    minimum: str | int | None = None
    maximum: str | int | None = None
    resolution: str | None = None
    domain: tuple[str | int, ...] | None = None
    unit: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise bad_dataset(
                f"{self.name!r} cannot be the name of a column",
                "use 1 to 63 of a-z 0-9 _, beginning with a letter",
            )
        if self.type not in _TYPES:
            raise self._bad("has an unknown type", "write one of " + ", ".join(_TYPES))
        check_description(f"column {self.name}", self.description + self.unit)
        if self.type == "decimal":
            if self.resolution is None or not _RESOLUTION.match(self.resolution):
                raise self._bad("needs a resolution", 'write resolution = "0.1" (1, 0.1, … 0.000000001)')
        elif self.resolution is not None:
            raise self._bad("is not decimal and has a resolution", "leave the resolution out")
        if self.type in ("integer", "decimal"):
            self._check_number()
        elif self.type in ("date", "timestamp"):
            if self.domain is not None:
                raise self._bad(f"is a {self.type} and has a domain", "give minimum and maximum")
            self._check_bounds("give minimum and maximum")
        else:
            if self.minimum is not None or self.maximum is not None:
                raise self._bad(f"is {self.type} and has bounds", "leave minimum and maximum out")
            self._check_words()

    def _check_number(self) -> None:
        if self.domain is not None:
            if self.minimum is not None or self.maximum is not None:
                raise self._bad("has bounds and a domain", "keep one of the two")
            if self.type == "decimal":
                raise self._bad("is decimal and has a domain", "give minimum and maximum")
            self._check_domain()
            if not all(_is_whole(value) and abs(int(value)) <= LARGEST_STEPS for value in self.domain):
                raise self._bad("has a domain that is not of integers", "list integers of at most 18 digits")
            return
        self._check_bounds("give minimum and maximum, or for integers a domain")

    def _check_bounds(self, remedy: str) -> None:
        if self.minimum is None or self.maximum is None:
            raise self._bad("lacks bounds", remedy)
        if self._steps(self.minimum) > self._steps(self.maximum):
            raise self._bad("has a minimum above its maximum", "swap them")

    def _check_words(self) -> None:
        if self.type == "boolean":
            if self.domain is not None:
                raise self._bad("is boolean and has a domain", "leave the domain out: it is false, true")
            return
        if self.domain is None:
            raise self._bad("is text and lacks a domain", "list the values that may occur")
        self._check_domain()
        for value in self.domain:
            if not isinstance(value, str):
                raise self._bad("has a domain that is not of texts", "write each value in quotes")
            if fault := text_fault(value):
                raise self._bad(f"has a text {fault} in its domain", TEXT_REMEDY)

    def _check_domain(self) -> None:
        domain = self.domain or ()
        if not 0 < len(domain) <= MOST_DOMAIN:
            raise self._bad("has an empty or too long domain", f"list 1 to {MOST_DOMAIN} values")
        if len({(type(value), value) for value in domain}) != len(domain):
            raise self._bad("has a value twice in its domain", "list each once")

    def _bad(self, what: str, remedy: str) -> InvalidInput:
        return bad_dataset(f"column {self.name} {what}", remedy)

    def _steps(self, bound: str | int) -> int:
        match self.type:
            case "date":
                return self._moment(bound, days_of)
            case "timestamp":
                return self._moment(bound, seconds_of)
            case _:
                return self._number(bound)

    def _moment(self, bound: str | int, read: Callable[[str], int]) -> int:
        if not isinstance(bound, str):
            raise self._bad(f"is a {self.type} and has a number as a bound", f"write a {self.type}")
        try:
            return read(bound)
        except InvalidInput as error:
            raise self._bad(f"has a bad bound: {error.message}", error.remedy or "") from None

    def _number(self, bound: str | int) -> int:
        if isinstance(bound, bool) or not (isinstance(bound, int) or _NUMBER.match(bound)):
            raise self._bad("has a bound that is not a number", 'write it as 12 or "12.5"')
        if isinstance(bound, int) and abs(bound) > LARGEST_STEPS:
            # Before str(), which refuses integers of thousands of digits with an error of its own.
            raise self._bad("has bounds too wide for its resolution", "keep below 10^18 steps from zero")
        # Digit by digit, never through Decimal, whose rounding the caller's context may have changed.
        whole, _, fraction = str(bound).partition(".")
        fraction = fraction.rstrip("0")
        if len(fraction) > self.decimals:
            raise self._bad("has a bound between two steps of its resolution", "round the bound to a step")
        steps = int(whole + fraction.ljust(self.decimals, "0"))
        if abs(steps) > LARGEST_STEPS:
            raise self._bad("has bounds too wide for its resolution", "keep below 10^18 steps from zero")
        return steps

    @property
    def decimals(self) -> int:
        """Digits after the decimal point: the resolution is ``10 ** -decimals``."""
        return 0 if self.resolution is None or self.resolution == "1" else len(self.resolution) - 2

    @cached_property
    def known(self) -> frozenset[str | int]:
        """The domain as a set, empty without one."""
        return frozenset(self.domain or ())

    @cached_property
    def step_bounds(self) -> tuple[int, int]:
        """Least and largest value in steps: of the resolution, days or seconds; (0, 0) for a text."""
        if self.type == "text":
            return 0, 0
        if self.type == "boolean":
            return 0, 1
        if self.domain is not None:
            numbers = [int(value) for value in self.domain]
            return min(numbers), max(numbers)
        if self.minimum is None or self.maximum is None:
            raise AssertionError("a constructed column has bounds")
        return self._steps(self.minimum), self._steps(self.maximum)

    @property
    def groups(self) -> tuple[DomainValue, ...] | None:
        """The values that GROUP BY lays out, in order, null last if nullable; None without a domain."""
        known: tuple[DomainValue, ...] | None = (False, True) if self.type == "boolean" else self.domain
        if known is None:
            return None
        return (*known, None) if self.nullable else known


def _is_whole(value: str | int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
