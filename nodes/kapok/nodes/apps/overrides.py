"""What a job may tell an app, and the app tell back beside the model, and within what: part of its approval.

    learning-rate=0.0001..0.1      a range, both ends included
    optimizer=sgd|adam             one of these; also for booleans
    local-epochs=1                 this one value

A value of the run configuration must be of the kind of the app's own default: a boolean, a text, a whole
number, or a number. What the server app says in its messages beside the model is held to the same texts.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kapok.documents.bundle import ConfigValue
from kapok.errors import ConsentWithheld, InvalidInput, plain
from kapok.flower.messages import PROXIMAL_MU, SERVER_ROUND

__all__ = ["Allowance", "foreign_word", "fused", "read_allowances"]

_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}\Z")
_HOW: Final = "write key=least..largest or key=one|other: learning-rate=0.0001..0.1, optimizer=sgd|adam"
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one key may be set to.

    Attributes:
        key: Dotted name.
        least: Of a range; None where `values` are listed.
        largest: Of a range.
        values: The texts of single values; empty for a range.
    """

    key: str
    least: float | None = None
    largest: float | None = None
    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """Read ``key=least..largest`` or ``key=one|other``.

        Raises:
            InvalidInput: ``bad_allowance``.
        """
        key, sign, rest = (part.strip() for part in text.partition("="))
        if not sign or not rest or not _KEY.match(key):
            raise _bad(text)
        if ".." not in rest:
            return cls(key, values=tuple(one.strip() for one in rest.split("|")))
        try:
            least, largest = (float(one) for one in rest.split("..", 1))
        except ValueError:
            raise _bad(text) from None
        if not (math.isfinite(least) and math.isfinite(largest) and least <= largest):
            raise _bad(text)
        return cls(key, least, largest)

    def __str__(self) -> str:
        if self.least is None or self.largest is None:
            return f"{self.key}={'|'.join(self.values)}"
        return f"{self.key}={self.least:g}..{self.largest:g}"

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest; all numbers where values are listed."""
        if self.least is None or self.largest is None:
            return -math.inf, math.inf
        return self.least, self.largest

    def admits(self, value: ConfigValue) -> bool:
        """Whether a value is within it."""
        if self.least is not None and self.largest is not None:
            if isinstance(value, bool | str):
                return False
            return self.least <= value <= self.largest
        return any(_equal(value, text) for text in self.values)


def read_allowances(texts: Iterable[str]) -> tuple[Allowance, ...]:
    """Read several, each of another key.

    Raises:
        InvalidInput: ``bad_allowance``.
    """
    found = tuple(map(Allowance.parse, texts))
    keys = [one.key for one in found]
    for key in keys:
        if keys.count(key) > 1:
            raise InvalidInput(f"{key} is allowed twice", code="bad_allowance", remedy="write it once")
    return found


def fused(
    defaults: Mapping[str, ConfigValue],
    overrides: Mapping[str, ConfigValue],
    allowed: Iterable[Allowance],
    clause: str,
) -> dict[str, ConfigValue]:
    """An app's whole configuration: its defaults, with what a job may change.

    Args:
        defaults: The app's own.
        overrides: What the job sets.
        allowed: By the app's approval.
        clause: Of the approval, for refusals.

    Raises:
        ConsentWithheld: ``override_not_allowed``.
    """
    within = {one.key: one for one in allowed}
    for key, value in overrides.items():
        if key not in defaults:
            raise _refused(key, clause, "the app has no such value", "set " + (", ".join(within) or "none"))
        if _same(value, defaults[key]):
            continue
        if key not in within:
            raise _refused(key, clause, "it is not allowed to be changed", "leave it as the app has it")
        if not _kind_fits(value, defaults[key]) or not within[key].admits(value):
            raise _refused(key, clause, "the value is not within what is allowed", f"keep to {within[key]}")
    return {**defaults, **overrides}


def foreign_word(said: Mapping[str, ConfigValue], allowed: Iterable[Allowance], exchange: int) -> str | None:
    """The first key under which an exchange tells an app what its approval does not allow; None for none.

    What Flower's strategies say of themselves needs no approval: the round, a whole number whatever an
    approval says of it, and FedProx's weight.

    Args:
        said: By key.
        allowed: By the app's approval; what it says of the strategies' own keys counts.
        exchange: Its number: no round that a strategy counts is above it.
    """
    own = (Allowance(SERVER_ROUND, 0, exchange), Allowance(PROXIMAL_MU, 0, sys.float_info.max))
    within = {one.key: one for one in (*own, *allowed)}

    def admitted(key: str, value: ConfigValue) -> bool:
        whole = key != SERVER_ROUND or isinstance(value, int)
        return whole and key in within and within[key].admits(value)

    return next((key for key, value in said.items() if not admitted(key, value)), None)


def _same(value: ConfigValue, default: ConfigValue) -> bool:
    return type(value) is type(default) and value == default


def _kind_fits(value: ConfigValue, default: ConfigValue) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _equal(value: ConfigValue, text: str) -> bool:
    """Whether a listed text stands for this value."""
    if isinstance(value, bool):
        return _BOOLEANS.get(text) is value
    if isinstance(value, str):
        return value == text
    try:
        return float(text) == value
    except ValueError:
        return False


def _bad(text: str) -> InvalidInput:
    return InvalidInput(
        f"{text!r} does not say what may be changed to what", code="bad_allowance", remedy=_HOW
    )


def _refused(key: str, clause: str, why: str, remedy: str) -> ConsentWithheld:
    return ConsentWithheld(
        f"the job sets {plain(key)[:100]} of the app's configuration: {why}",
        code="override_not_allowed",
        clause=f"{clause}.allow",
        remedy=remedy,
    )
