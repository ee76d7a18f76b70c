"""What the holder's half of a computation gets from its node: an engine beside the data, and least sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from kapok.errors import InvalidInput

__all__ = ["SOURCE", "Engine", "Note", "Thresholds", "unheard"]

SOURCE: Final = "source"

Note: TypeAlias = Callable[[str, str], None]
"""Hears which measure was suppressed and why: a column and a reason, no count, no group, no value.

It depends on data: it is for the holder's own log, and no part of it may leave the holder.
"""


def unheard(measure: str, why: str) -> None:
    """The note of whoever keeps no log."""


class Engine(Protocol):
    """Runs one SELECT over the holder's table, which it knows under the name ``source``.

    The table has the dataset's columns, by name, convertible to their types: integers, decimals (fixed
    point or double), texts, booleans.
    """

    @property
    def dialect(self) -> str:
        """Name of the SQL dialect as sqlglot knows it, e.g. ``duckdb``."""
        ...

    def fetch(self, select_sql: str) -> Sequence[tuple[Any, ...]]:
        """Return all rows of the SELECT. May raise anything."""
        ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least sizes that a holder's policy asks for.

    Attributes:
        min_rows: Least number of the holder's rows that a question's filter must keep.
        min_cell: Least number of its rows in a cell; for a column, of rows in which it is not null.

    Raises:
        InvalidInput: ``bad_thresholds`` when one is negative.
    """

    min_rows: int
    min_cell: int

    def __post_init__(self) -> None:
        if self.min_rows < 0 or self.min_cell < 0:
            raise InvalidInput(
                "min_rows and min_cell cannot be negative",
                code="bad_thresholds",
                remedy="give whole numbers from 0",
            )
