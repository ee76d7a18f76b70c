"""A question, public to everybody it concerns, and the layout of its words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from kapok.computations.language.syntax import Aggregate, Call, Expression, Name, Statement, walk
from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.language.writing import in_order, write, write_statement
from kapok.computations.query.aggregates import AGGREGATES
from kapok.computations.query.answers.formulas import Formula
from kapok.computations.query.describing import describe
from kapok.computations.query.measures import Axis, Measure
from kapok.computations.query.quantiles import RANKS, SEARCH_WORDS, search_rounds
from kapok.computations.rows.operations import Code
from kapok.computations.widths import random_bits, word_bits

__all__ = ["OPERATIONS", "DatasetReference", "Item", "Question", "Ranking", "Result"]

OPERATIONS: Final = ("count", "sum", "avg", "variance", "covariance", "distinct", "histogram", "quantile")


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the answer.

    Attributes:
        name: What it is called.
        kind: ``group``: what is grouped by; ``rows``: COUNT(*); the name of an aggregate; ``grouping``;
            ``histogram``: the count of a bin; ``expression``: anything else.
        column: The dataset's column, where it is of one and nothing more.
        formula: Its value in one line.
    """

    name: str
    kind: str
    column: str | None
    formula: Formula


@dataclass(frozen=True, slots=True)
class Result:
    """One aggregate that the answer needs.

    Attributes:
        name: Of the aggregate: ``count``, …, ``count_distinct``.
        measure: Number of its measure.
        swapped: Whether its arguments stand the other way round in the measure.
        fraction: Of a quantile which part of the rows lies below it; None of every other aggregate.
    """

    name: str
    measure: int
    swapped: bool = False
    fraction: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """One element of ORDER BY."""

    formula: Formula
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """What stands after FROM: a name, and the beginning of a hash if ``"name@hash"`` was written."""

    name: str
    prefix: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question over one dataset. Made by `reading.read_question` only, which checks all that is said here.

    Attributes:
        statement: What it says, in its one form.
        dataset: The dataset's name.
        items: The answer's columns in order, no name twice.
        axes: All that it groups by, none twice.
        sets: For each grouping that is answered the numbers of its axes, ascending; ``((),)`` without
            GROUP BY.
        measures: What a holder computes in each cell, in the order of the words.
        results: The aggregates, each of a measure.
        where: What the condition of WHERE computes, None for all rows.
        having: Which lines are kept, None for all.
        order: By what the lines are ordered.
        bound: V: no word of one holder's honest contribution is larger in magnitude.
    """

    statement: Statement
    dataset: str = field(compare=False)
    items: tuple[Item, ...] = field(compare=False)
    axes: tuple[Axis, ...] = field(compare=False)
    sets: tuple[tuple[int, ...], ...] = field(compare=False)
    measures: tuple[Measure, ...] = field(compare=False)
    results: tuple[Result, ...] = field(compare=False)
    where: Code | None = field(compare=False)
    having: Formula | None = field(compare=False)
    order: tuple[Ranking, ...] = field(compare=False)
    bound: int = field(compare=False)

    @property
    def sql(self) -> str:
        """The canonical text. Parsing it gives an equal question; case, spaces and synonyms are gone."""
        return write_statement(self.statement)

    @property
    def text(self) -> str:
        """The canonical text, as `sql`."""
        return self.sql

    @property
    def substance(self) -> str:
        """What it asks of the holders, whatever things are called and whatever becomes of it afterwards.

        Measures, condition and groupings alone, in one order: equal for the same words. The dataset's name is
        not in it, since another name would make another question of it.
        """
        asked = sorted(f"{'+'.join(('count', *one.moments))} of {one.text}" for one in self.measures)
        asked += sorted(
            f"{one.name} {one.fraction} of {self.measures[one.measure].text}" for one in self.quantiles
        )
        text = "; ".join(asked)
        if self.statement.where is not None:
            text += f" WHERE {write(in_order(self.statement.where))}"
        axes = [write(in_order(axis.expression)) for axis in self.axes]
        sets = sorted(", ".join(sorted(axes[place] for place in kept)) for kept in self.sets)
        return f"{text} GROUP BY ({') ('.join(sets)})"

    @property
    def group_by(self) -> tuple[str, ...]:
        """What it groups by, as text."""
        return tuple(write(axis.expression) for axis in self.axes)

    @property
    def cells(self) -> int:
        """Number of cells of all groupings together."""
        return sum(math.prod(len(self.axes[place].values) for place in kept) for kept in self.sets)

    @property
    def quantiles(self) -> tuple[Result, ...]:
        """Those of the aggregates that are searched for in further rounds."""
        return tuple(result for result in self.results if result.fraction is not None)

    @property
    def first_words(self) -> int:
        """Number of words of the first round, without the zeros that follow where later rounds have more."""
        return self.cells * sum(measure.words for measure in self.measures)

    @property
    def words(self) -> int:
        """Number of words of one contribution, in every round."""
        return max(self.first_words, self.cells * len(self.quantiles) * RANKS * SEARCH_WORDS)

    @property
    def rounds(self) -> int:
        """Number of rounds: one, and those of the longest search."""
        found = [search_rounds(self.measures[result.measure].terms[0]) for result in self.quantiles]
        return 1 + max(found, default=0)

    @property
    def random_bits(self) -> int:
        """Width of the random words that stand for a suppressed cell, see `kapok.computations.widths`."""
        return random_bits(self.bound)

    @property
    def word_bits(self) -> int:
        """Width of a word."""
        return word_bits(self.bound)

    def places(self, kept: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """The cells of one grouping in the order of the words, as numbers of values of its axes."""
        return itertools.product(*(range(len(self.axes[place].values)) for place in kept))

    @property
    def _of_rows(self) -> list[Expression]:
        """Everything that is computed for single rows."""
        found = [axis.expression for axis in self.axes]
        for measure in self.measures:
            found += [*measure.arguments, *([measure.condition] if measure.condition is not None else [])]
        return found + ([self.statement.where] if self.statement.where is not None else [])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that it reads, sorted."""
        names = {part.name for root in self._of_rows for part in walk(root) if isinstance(part, Name)}
        return tuple(sorted(names))

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the functions that are applied to single rows, sorted."""
        calls = {part.name for root in self._of_rows for part in walk(root) if isinstance(part, Call)}
        return tuple(sorted(calls & FUNCTIONS))

    @property
    def operations(self) -> tuple[str, ...]:
        """Which of `OPERATIONS` it asks, sorted.

        Whoever is told an average is told the sum too, and with either the count of known values.
        """
        asked = {
            "distinct" if one.name == "count_distinct" else AGGREGATES[one.name].operation
            for one in self.results
            if one.fraction is None
        }
        if self.quantiles:
            asked = asked | {"quantile"}
        if any(isinstance(axis.expression, Aggregate) for axis in self.axes):
            asked = asked | {"histogram"}
        return tuple(sorted(asked))

    def describe(self) -> str:
        """The question as a sentence for a data holder."""
        return describe(self)
