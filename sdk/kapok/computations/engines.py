"""What the holder's half of a computation gets from its node: an engine beside the data, and least sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from kapok.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EVERY", "SOURCE", "Dominance", "Engine", "ModelLimits", "Note", "Thresholds", "unheard"]

SOURCE: Final = "source"

Note: TypeAlias = Callable[[str, str], None]
"""Hears which measure was suppressed and why: a column and a reason, no count, no group, no value.

It depends on data: it is for the holder's own log, and no part of it may leave the holder.
"""
EVERY: Final = "every measure"
"""The first word of a note where nothing at all is shown."""


def unheard(measure: str, why: str) -> None:
    """The note of whoever keeps no log."""


class Engine(Protocol):
    """Runs one SELECT over the holder's table, which it knows under the name ``source``.

    The table has the dataset's columns, by name, convertible to their types: integers, decimals (fixed
    point or double), texts, booleans, dates, and timestamps without zone.
    """

    @property
    def dialect(self) -> str:
        """Name of the SQL dialect as sqlglot knows it, e.g. ``duckdb``."""
        ...

    def fetch(self, select_sql: str) -> Sequence[tuple[Any, ...]]:
        """Return all rows of the SELECT. May raise anything."""
        ...

    def batches(self, select_sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of the SELECT, a few thousand at a time, never all in memory. May raise anything."""
        ...


class Dominance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The (n, k) rule: a total must not be that of a few contributors.

    Attributes:
        n: How many contributors, the largest, are taken together.
        percent: Most that they may have of the total of all magnitudes, in percent.
    """

    n: int
    percent: int


class ModelLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a holder asks of its rows before sums over a model's matrix of them are shown.

    Attributes:
        parameters_percent: Most columns of a model, in percent of the rows.
        leverage_percent: Most of the information in any direction that one row may have, in percent; and of
            the distances of the responses from the commonest one.
    """

    parameters_percent: int = 33
    leverage_percent: int = 75


_MODELS: Final = ModelLimits()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a holder's policy asks of a cell before it is shown; what falls short is suppressed in the mask.

    Attributes:
        min_rows: Least number of the holder's rows that a question's filter must keep.
        min_cell: Least number of its rows in a cell; for a column, of rows in which it is not null.
        dominance: The (n, k) rule over the magnitudes that add up to a sum; None for none.
        p_percent: The p % rule: the total of magnitudes without the two largest must be at least so many
            percent of the largest, or the second-largest contributor could tell the largest too closely;
            None for none.
        models: What is asked besides where sums are of a model's matrix.

    Raises:
        InvalidInput: ``bad_thresholds`` when one is out of range.
    """

    min_rows: int
    min_cell: int
    dominance: Dominance | None = None
    p_percent: int | None = None
    models: ModelLimits = _MODELS

    def __post_init__(self) -> None:
        if self.min_rows < 0 or self.min_cell < 0:
            raise InvalidInput(
                "min_rows and min_cell cannot be negative",
                code="bad_thresholds",
                remedy="give whole numbers from 0",
            )
        for what, number in (
            ("the percentage of dominance", self.dominance.percent if self.dominance else None),
            ("p_percent", self.p_percent),
            ("parameters_percent", self.models.parameters_percent),
            ("leverage_percent", self.models.leverage_percent),
        ):
            if number is not None and not 1 <= number <= 100:
                raise InvalidInput(
                    f"{what} is no percentage", code="bad_thresholds", remedy="give a number from 1 to 100"
                )
        if self.dominance and self.dominance.n < 1:
            raise InvalidInput(
                "dominance is about the n largest contributors, and n is less than 1",
                code="bad_thresholds",
                remedy="give a number from 1",
            )
