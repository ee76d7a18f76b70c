"""Proportional hazards, public to everybody it concerns, and the layout of their words.

    COX time EVENT e ON term, term, … GRID (number, number, …) [RIDGE number] ROUNDS number FROM dataset

What a term is: `kapok.computations.design.reading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kapok.computations.design.choices import choices, place_of
from kapok.computations.design.columns import Design, Source, Sources
from kapok.computations.design.features import INTERCEPT, Term, expressions, written
from kapok.computations.design.reading import read_terms, value_of
from kapok.computations.design.sums import Scale
from kapok.computations.design.times import Grid, check_event, check_time, read_grid
from kapok.computations.language.grammar import Reader
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Call, Expression, Name, Number, walk
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.language.writing import identifier, write
from kapok.computations.widths import random_bits, word_bits
from kapok.documents.dataset import Dataset

__all__ = ["LARGEST", "RULES", "Hazards", "Layout", "Statement", "text_of"]

_MOST_ROUNDS: Final = 100
_MOST_WORDS: Final = 100_000
LARGEST: Final = 2.0**24
"""What one row adds to a sum at most: coefficients that lead beyond are not the last."""

RULES: Final = ("table", "few_rows")
"""What suppresses a model whatever its columns and times; see `kapok.computations.cox.holder`."""

_COUNTS: Final = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """What a model's text says, before anything is known of the dataset."""

    time: Expression
    event: Expression
    terms: tuple[Term, ...]
    grid: Grid
    ridge: Number | None
    rounds: int
    dataset: str


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
        """Rows used, dropped and out of range; rows and events of each interval."""
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
class Hazards:
    """A model over one dataset. Made by `parse` only, which checks all that is said here.

    Attributes:
        statement: What it says.
        sources: What an engine computes of each row.
        design: The matrix, without a constant: the baseline has it.
        time: Place of the time among the sources.
        event: Place of the event among the sources.
        choices: Places of the conditions inside of expressions.
        scale: How sums become words.
    """

    statement: Statement
    sources: tuple[Source, ...] = field(compare=False)
    design: Design = field(compare=False)
    time: int = field(compare=False)
    event: int = field(compare=False)
    choices: tuple[int, ...] = field(compare=False)
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
    def substance(self) -> str:
        """What it asks: as its text, for nothing in it has a name of its own."""
        return self.text

    @property
    def times(self) -> tuple[float, ...]:
        """The grid."""
        return self.statement.grid.values

    @property
    def ridge(self) -> float:
        """λ of the penalty λ/2 Σ β²; 0 without."""
        return 0.0 if self.statement.ridge is None else float(value_of(self.statement.ridge))

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
        )
        return Layout(flags, len(self.times), len(self.names))

    @property
    def words(self) -> int:
        """Number of words of one contribution, in every round."""
        return self.layout.words

    @property
    def rounds(self) -> int:
        """Most rounds that it takes; it ends earlier once it has converged."""
        return self.statement.rounds

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for what is suppressed."""
        return random_bits(self.scale.bound)

    @property
    def word_bits(self) -> int:
        """Width of a word."""
        return word_bits(self.scale.bound)

    def _expressions(self) -> Iterator[Expression]:
        yield from _numbers(self.statement)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        found = {part.name for root in self._expressions() for part in walk(root) if isinstance(part, Name)}
        return tuple(sorted(found))

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions that are applied to single rows, sorted."""
        calls = {part.name for root in self._expressions() for part in walk(root) if isinstance(part, Call)}
        return tuple(sorted(calls & FUNCTIONS))

    @property
    def operations(self) -> tuple[str, ...]:
        """As policies list it."""
        return ("cox",)

    def describe(self) -> str:
        """The model as a sentence for a data holder."""
        one, ends = self.statement, len(self.times) + 1
        return (
            f"Fits proportional hazards of {write(one.time)} until {write(one.event)} on "
            f"{written(one.terms)}, over all rows of {one.dataset} that lack nothing, in at most "
            f"{one.rounds} rounds; each adds up, for the rows that leave in each of {ends} intervals, "
            f"products of {len(self.names)} columns at coefficients that the analyst has found."
        )


def _numbers(one: Statement) -> Iterator[Expression]:
    """What is computed of each row."""
    yield from (one.time, one.event, *expressions(one.terms))


def _read(text: str) -> Statement:
    reader = Reader(text)
    reader.expect_word("cox", "at the beginning of a model")
    time = reader.expression()
    reader.expect_word("event", "after the time")
    event = reader.expression()
    reader.expect_word("on", "after the event")
    terms = read_terms(reader)
    grid = read_grid(reader)
    ridge = _number(reader, "RIDGE") if reader.take_word("ridge") else None
    reader.expect_word("rounds", "after the model")
    rounds = _number(reader, "ROUNDS")
    reader.expect_word("from", "at the end of a model")
    dataset = reader.identifier("the dataset's name")
    if reader.token.kind != "end":
        raise reader.unexpected("the model ends after the dataset's name")
    if rounds.decimals or not 2 <= rounds.units <= _MOST_ROUNDS:
        raise refuse(f"a model takes 2 to {_MOST_ROUNDS} rounds", "ask for so many", "bad_model")
    return Statement(time, event, terms, grid, ridge, rounds.units, dataset)


def _number(reader: Reader, what: str) -> Number:
    found = reader.expression()
    if not isinstance(found, Number) or found.units <= 0:
        raise refuse(f"{what} takes a number above 0", "write it as digits", "bad_model")
    return found


def text_of(one: Statement) -> str:
    """The canonical text of a model."""
    parts = ["COX", write(one.time), "EVENT", write(one.event), "ON", written(one.terms), one.grid.text]
    parts += [] if one.ridge is None else ["RIDGE", write(one.ridge)]
    return " ".join([*parts, "ROUNDS", str(one.rounds), "FROM", identifier(one.dataset)])


def _compiled(one: Statement, dataset: Dataset) -> Hazards:
    if one.dataset != dataset.name:
        raise refuse(
            f"the model is of {one.dataset}, not {dataset.name}",
            f"write FROM {dataset.name}",
            "unknown_dataset",
        )
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
    scale = Scale(dataset.rows_max, LARGEST)
    model = Hazards(one, tuple(sources.listed), design, time, event, chosen, scale)
    if model.words > _MOST_WORDS:
        raise refuse(
            f"the model takes {model.words} sums a round, and {_MOST_WORDS} are allowed",
            "take a coarser grid, or fewer columns",
            "too_many_cells",
        )
    return model
