"""A public grid of times, and what a column of times and one of events must be."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from kapok.computations.design.reading import value_of
from kapok.computations.language.hints import refuse
from kapok.computations.language.literals import number_text
from kapok.computations.language.syntax import Expression, Number
from kapok.computations.language.writing import write
from kapok.computations.rows.meaning import Meaning

if TYPE_CHECKING:
    from kapok.computations.language.grammar import Reader
    from kapok.documents.dataset import Dataset

__all__ = ["MOST_TIMES", "Grid", "check_event", "check_time", "read_grid"]

MOST_TIMES: Final = 500


@dataclass(frozen=True, slots=True)
class Grid:
    """Times to which others are rounded up, each later than the one before; none is negative."""

    times: tuple[Number, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The times as numbers."""
        return tuple(float(value_of(time)) for time in self.times)

    @property
    def text(self) -> str:
        """As it stands in a text."""
        return f"GRID ({', '.join(map(number_text, self.times))})"


def read_grid(reader: Reader) -> Grid:
    """Read ``GRID (number, number, …)``.

    Raises:
        InvalidInput: ``bad_grid`` when the times are too many, negative or not in order.
    """
    reader.expect_word("grid", "before the times")
    reader.expect_sign("(", "before the list")
    times = reader.listed("after the times")
    values = [value_of(time) for time in times if isinstance(time, Number)]
    if len(values) != len(times) or len(times) > MOST_TIMES or values != sorted({*values}) or values[0] < 0:
        raise refuse(
            f"a grid has 1 to {MOST_TIMES} numbers from 0, each larger than the one before",
            "list the times in order, as in 30, 60, 90",
            "bad_grid",
        )
    return Grid(tuple(time for time in times if isinstance(time, Number)))


def check_time(time: Expression, dataset: Dataset) -> tuple[Fraction, Fraction]:
    """Between which numbers a time lies.

    Raises:
        InvalidInput: ``type_mismatch`` when it is no number, ``negative_times`` when the schema lets it be
            less than 0.
    """
    term = Meaning(dataset).term(time)
    if term.kind != "number":
        raise refuse(
            f"the time {write(time)} is no number",
            "take a number of days, as in DATE_DIFF('day', entry, last)",
            "type_mismatch",
        )
    if term.low * term.scale < 0:
        raise refuse(
            f"the time {write(time)} can be negative, by the schema's bounds",
            "publish the dataset with a minimum of 0, or say what a negative time is to count as, as in "
            "GREATEST(time, 0)",
            "negative_times",
        )
    return term.low * term.scale, term.high * term.scale


def check_event(event: Expression, dataset: Dataset) -> None:
    """That an event is a condition, or 0 and 1.

    Raises:
        InvalidInput: ``bad_event``.
    """
    term = Meaning(dataset).term(event)
    is_indicator = term.kind == "number" and term.two_values == (0, 1) and term.scale == 1
    if term.kind != "boolean" and not is_indicator:
        raise refuse(
            f"{write(event)} is no event: it is neither a condition nor 0 and 1",
            "write a condition, as in status = 2",
            "bad_event",
        )
