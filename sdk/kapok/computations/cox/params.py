"""Proportional hazards, public to everybody it concerns, and the layout of their words.

    COX time EVENT e ON term, term, … GRID (number, number, …) [RIDGE number] ROUNDS number FROM dataset
        [WHERE condition]

What a term is: `kapok.computations.design.reading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kapok.computations.design.choices import choices, place_of
from kapok.computations.design.columns import Design, Source, Sources, Unlisted
from kapok.computations.design.features import INTERCEPT, Term, expressions, written
from kapok.computations.design.flags import OUTSIDE
from kapok.computations.design.model import ModelQuestion, check_dataset
from kapok.computations.design.reading import read_above_zero, read_rounds, read_terms, read_where
from kapok.computations.design.sums import Scale
from kapok.computations.design.times import Grid, check_event, check_time, read_grid
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Expression, Number
from kapok.computations.language.writing import identifier, write
from kapok.documents.dataset import Dataset

__all__ = ["LARGEST", "RULES", "Hazards", "Layout", "Statement", "text_of"]

_MOST_WORDS: Final = 100_000
LARGEST: Final = 2.0**24
"""What one row adds to a sum at most: coefficients that lead beyond are not the last."""

RULES: Final = ("table", "few_rows", OUTSIDE)
"""What suppresses a model whatever its columns and times; see `kapok.computations.cox.holder`."""

_COUNTS: Final = 2


@dataclass(frozen=True, slots=True)
class Statement:
    """What a model's text says, before anything is known of the dataset.

    Attributes:
        where: Which rows count; None: all.
    """

    time: Expression
    event: Expression
    terms: tuple[Term, ...]
    grid: Grid
    ridge: Number | None
    rounds: int
    dataset: str
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which word is what.

    Attributes:
        flags: What each flag is of: a rule, or a rule and a column or time.
        times: Number of the grid's times; rows beyond the last are one interval more.
        columns: Number of the matrix's columns.
    """

    flags: tuple[str, ...]
    times: int
    columns: int

    @property
    def counts(self) -> int:
        """Rows used and dropped; rows and events of each interval."""
        return _COUNTS + 2 * (self.times + 1)

    @property
    def width(self) -> int:
        """Sums of one interval: Σ w, Σ w x and the upper triangle of Σ w x xᵀ."""
        return 1 + self.columns + self.columns * (self.columns + 1) // 2

    @property
    def words(self) -> int:
        """All of them."""
        return len(self.flags) + self.counts + self.columns + (self.times + 1) * self.width


@dataclass(frozen=True, slots=True)
class Hazards(ModelQuestion):
    """A model over one dataset. Made by `parse` only, which checks all that is said here.

    Attributes:
        statement: What it says.
        sources: What an engine computes of each row.
        design: The matrix, without a constant: the baseline has it.
        time: Place of the time among the sources.
        event: Place of the event among the sources.
        choices: Places of the conditions inside of expressions.
        where: Place of the condition of the rows that count; None without.
        unlisted: What factors leave out.
        scale: How sums become words.
    """

    statement: Statement
    sources: tuple[Source, ...] = field(compare=False)
    design: Design = field(compare=False)
    time: int = field(compare=False)
    event: int = field(compare=False)
    choices: tuple[int, ...] = field(compare=False)
    where: int | None = field(compare=False)
    unlisted: tuple[Unlisted, ...] = field(compare=False)
    scale: Scale = field(compare=False)

    @classmethod
    def parse(cls, text: str, dataset: Dataset) -> Hazards:
        """Read a model over the dataset.

        Raises:
            InvalidInput: ``bad_model``, ``bad_grid``, ``negative_times``, ``bad_event``, ``unknown_level``,
                ``constant_column``, ``too_many_columns``, ``unknown_dataset`` and what is wrong with an
                expression or a text, each with what to write instead.
        """
        try:
            return _compiled(_read(text), dataset)
        except RecursionError:
            raise refuse("the model is nested too deeply", "simplify it", "question_too_long") from None

    @property
    def text(self) -> str:
        """The canonical text: parsing it again gives an equal model."""
        return text_of(self.statement)

    @property
    def times(self) -> tuple[float, ...]:
        """The grid."""
        return self.statement.grid.values

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.design.columns)

    @property
    def layout(self) -> Layout:
        """Which word is what."""
        ends = (*(f"{time:g}" for time in self.times), "the end")
        flags = (
            *RULES,
            *(f"interval: {end}" for end in ends),
            *(f"nearly_constant: {name}" for name in self.names),
            *(f"few_events: {name}" for name in self.names),
            *(f"nearly_constant: condition {write(one)}" for one in choices(_numbers(self.statement))),
            *(f"nearly_constant: {one.name}" for one in self.unlisted),
            *(
                []
                if self.statement.where is None
                else [f"nearly_constant: condition {write(self.statement.where)}"]
            ),
        )
        return Layout(flags, len(self.times), len(self.names))

    @property
    def roots(self) -> Iterator[Expression]:
        """All that is computed of each row, or looked at."""
        return _numbers(self.statement)

    @property
    def operations(self) -> tuple[str, ...]:
        """As policies list it."""
        return ("cox",)

    def describe(self) -> str:
        """The model as a sentence for a data holder."""
        one, ends = self.statement, len(self.times) + 1
        rows = f"all rows of {one.dataset}" + ("" if one.where is None else f" with {write(one.where)}")
        return (
            f"Fits proportional hazards of {write(one.time)} until {write(one.event)} on "
            f"{written(one.terms)}, over {rows} that lack nothing, in at most {one.rounds} rounds; each adds "
            f"up, for the rows that leave in each of {ends} intervals, "
            f"products of {len(self.names)} columns at coefficients that the analyst has found."
        )


def _numbers(one: Statement) -> Iterator[Expression]:
    """What is computed of each row."""
    yield from (one.time, one.event, *expressions(one.terms))
    yield from () if one.where is None else (one.where,)


def _read(text: str) -> Statement:
    reader = Reader(text)
    reader.expect_word("cox", "at the beginning of a model")
    time = reader.expression()
    reader.expect_word("event", "after the time")
    event = reader.expression()
    reader.expect_word("on", "after the event")
    terms = read_terms(reader)
    grid = read_grid(reader)
    ridge = read_above_zero(reader, "RIDGE") if reader.take_word("ridge") else None
    rounds = read_rounds(reader)
    reader.expect_word("from", "at the end of a model")
    dataset = reader.identifier("the dataset's name")
    return Statement(time, event, terms, grid, ridge, rounds, dataset, read_where(reader))


def text_of(one: Statement) -> str:
    """The canonical text of a model."""
    parts = ["COX", write(one.time), "EVENT", write(one.event), "ON", written(one.terms), one.grid.text]
    parts += [] if one.ridge is None else ["RIDGE", write(one.ridge)]
    parts += ["ROUNDS", str(one.rounds), "FROM", identifier(one.dataset)]
    return " ".join([*parts, *([] if one.where is None else ["WHERE", write(one.where)])])


def _compiled(one: Statement, dataset: Dataset) -> Hazards:
    check_dataset(one.dataset, dataset)
    check_time(one.time, dataset)
    check_event(one.event, dataset)
    if INTERCEPT in one.terms:
        raise refuse("proportional hazards have no constant", "leave the 1 out", "bad_model")
    sources = Sources(dataset)
    # With the constant columns are centred; it is in the baseline hazard and leaves again.
    whole = Design.of((INTERCEPT, *one.terms), sources)
    design = Design(whole.columns[1:], whole.centre[1:], whole.half[1:])
    time, event = sources.number("a time", one.time), sources.number("an event", one.event)
    chosen = tuple(place_of(condition, sources) for condition in choices(_numbers(one)))
    where = None if one.where is None else place_of(one.where, sources)
    scale = Scale(dataset.rows_max, LARGEST)
    model = Hazards(
        one, tuple(sources.listed), design, time, event, chosen, where, tuple(sources.unlisted), scale
    )
    if model.words > _MOST_WORDS:
        raise refuse(
            f"the model takes {model.words} sums a round, and {_MOST_WORDS} are allowed",
            "take a coarser grid, or fewer columns",
            "too_many_cells",
        )
    return model
