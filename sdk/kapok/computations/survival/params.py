"""What is asked of times to an event, public to everybody it concerns.

SURVIVAL time EVENT condition [BY e] GRID (number, number, …) FROM dataset [WHERE condition]
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kapok.computations.derived.question import Derived, known_rows, select
from kapok.computations.design.reading import read_where, value_of
from kapok.computations.design.times import Grid, check_event, check_time, read_grid
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Aggregate, Call, Case, Expression, Group, Number, Selected
from kapok.computations.language.syntax import Statement as Select
from kapok.computations.language.writing import identifier, write
from kapok.documents.dataset import Dataset

__all__ = ["Statement", "Survival", "text_of"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text says, before anything is known of the dataset."""

    time: Expression
    event: Expression
    group: Expression | None
    grid: Grid
    dataset: str
    where: Expression | None


@dataclass(frozen=True, slots=True)
class Survival(Derived):
    """Curves over one dataset. Made by `parse` only.

    Attributes:
        statement: What it says.
    """

    statement: Statement = field(compare=False)

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Survival:
        """Read what is asked over the dataset.

        Raises:
            InvalidInput: ``bad_grid``, ``negative_times``, ``bad_event``, ``no_domain`` of the group,
                and whatever is wrong with an expression or a text.
        """
        try:
            one = _read(text)
            check_event(one.event, dataset)
            return cls(text_of(one), select(_select(one, dataset), dataset), one)
        except RecursionError:
            raise refuse("it is nested too deeply", "simplify it", "question_too_long") from None


def _read(text: str) -> Statement:
    reader = Reader(text)
    reader.expect_word("survival", "at the beginning")
    time = reader.expression()
    reader.expect_word("event", "after the time")
    event = reader.expression()
    group = reader.expression() if reader.take_word("by") else None
    grid = read_grid(reader)
    reader.expect_word("from", "after the grid")
    dataset = reader.identifier("the dataset's name")
    return Statement(time, event, group, grid, dataset, read_where(reader))


def text_of(one: Statement) -> str:
    """The canonical text."""
    parts = ["SURVIVAL", write(one.time), "EVENT", write(one.event)]
    parts += [] if one.group is None else ["BY", write(one.group)]
    parts += [one.grid.text, "FROM", identifier(one.dataset)]
    return " ".join([*parts, *([] if one.where is None else ["WHERE", write(one.where)])])


def _select(one: Statement, dataset: Dataset) -> Select:
    """Counts of rows by interval, event and group, with the margins over events and over intervals."""
    _, latest = check_time(one.time, dataset)
    # An interval that nothing can fall into would be an empty cell, for whose sake others are hidden.
    ends = [time for time in one.grid.times if value_of(time) < latest] or [*one.grid.times[:1]]
    branches = tuple((Call("<=", (one.time, time)), Number(place)) for place, time in enumerate(ends))
    interval = Case(None, branches, Number(len(branches)))
    groups: tuple[Expression, ...] = () if one.group is None else (one.group,)
    sets = ((interval, one.event, *groups), (interval, *groups), groups)
    answered = (interval, one.event, *groups)
    selected = [Selected(part, None) for part in answered]
    selected += [Selected(Call("grouping", (part,)), None) for part in answered[:2]]
    return Select(
        (*selected, Selected(Aggregate("count", ()), None)),
        (one.dataset, False),
        known_rows((one.time, one.event, *groups), one.where, dataset),
        (Group("sets", sets),),
    )
