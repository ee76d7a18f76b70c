"""Words that messages have in common: how many of something, and which name was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

__all__ = ["counted", "near"]

_ALIKE: Final = 0.75
"""So much of two names is the same, in its order: ``agee`` is near ``age``, ``nope`` not near ``slope``."""
_MOST_NEAR: Final = 3


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 job``, ``2 jobs``, ``1,000 parties``.

    Args:
        number: How many.
        one: The noun for one of them.
        many: The noun for any other number; `one` with an s when None.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def near(word: str, known: Iterable[str]) -> list[str]:
    """The known names that a misspelt one is near to, the nearest first, three at most."""
    return get_close_matches(word, list(known), n=_MOST_NEAR, cutoff=_ALIKE)
