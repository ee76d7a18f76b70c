"""From terms and a schema to the columns of a model's matrix, with public bounds for each.

    sources   what an engine computes of a row: whole steps, or the number of a level; each once
    columns   products of parts of sources: x, x³, a level's 0 or 1, a piece of a spline

Each column is standardised by its public bounds alone, the same at every holder: (x - centre) / half. A model
without intercept cannot be moved, so there the centre is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from kapok.computations.design.features import (
    INTERCEPT,
    Feature,
    Levels,
    Plain,
    Powers,
    Spline,
    Term,
    columns_of,
    name_of,
)
from kapok.computations.design.reading import value_of
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Expression, Name, Number, Text
from kapok.computations.language.writing import write
from kapok.computations.rows.arithmetic import number, of_boolean
from kapok.computations.rows.meaning import Meaning
from kapok.computations.rows.operations import Choice, Code, Operation, Quoted, Table, Whole
from kapok.computations.rows.terms import Term as RowTerm

if TYPE_CHECKING:
    import numpy.typing as npt

    from kapok.documents.dataset import Dataset

    Floats: TypeAlias = npt.NDArray[np.float64]

__all__ = ["MOST_COLUMNS", "Bounds", "Design", "DesignColumn", "Source", "Sources", "Unlisted"]

MOST_COLUMNS: Final = 128
"""Most columns of a model: the sums over their products are as many as the square of that, halved."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which numbers a value lies, by the schema alone."""

    low: float
    high: float

    def times(self, other: Bounds) -> Bounds:
        """Those of a product."""
        ends = [mine * theirs for mine in (self.low, self.high) for theirs in (other.low, other.high)]
        return Bounds(min(ends), max(ends))

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True)
class Source:
    """What an engine computes of a row, on 64-bit integers, null where it is unknown.

    Attributes:
        term: Steps, and what one is worth; of a factor the number of the level, from 0.
        bare: Whether it is a column of the dataset and nothing more.
    """

    term: RowTerm
    bare: bool

    @property
    def indicator(self) -> bool:
        """Whether it has two values in all."""
        return self.term.two_values is not None

    @property
    def bounds(self) -> Bounds:
        """Between which numbers the value lies."""
        return Bounds(float(self.term.low * self.term.scale), float(self.term.high * self.term.scale))

    def value(self, steps: npt.NDArray[np.int64]) -> Floats:
        """The values of some rows, each rounded once where a step is one part of a whole number."""
        scale = self.term.scale
        value = steps.astype(np.float64)
        if scale.numerator != 1:
            value *= scale.numerator
        return value / scale.denominator if scale.denominator != 1 else value


@dataclass(frozen=True, slots=True)
class Unlisted:
    """The rows that a factor leaves out, for their level is none of those that it lists.

    Attributes:
        factor: Place of the factor among the sources; it is null there.
        place: Place of what is 1 there and else 0.
        name: For people.
    """

    factor: int
    place: int
    name: str


class Sources:
    """The sources of one model, each once however often it is used."""

    def __init__(self, dataset: Dataset) -> None:
        self._meaning = Meaning(dataset)
        self._known: dict[object, int] = {}
        self.listed: list[Source] = []
        self.unlisted: list[Unlisted] = []

    def number(self, what: str, expression: Expression, *, bare: bool = False) -> int:
        """The place of a number, or of a condition as 0 and 1; `bare` as if it were a column itself.

        Raises:
            InvalidInput: ``type_mismatch`` and whatever is wrong with the expression.
        """
        term = self._meaning.term(expression)
        bare = bare or isinstance(expression, Name)
        return self._place(Source(of_boolean(term) if term.kind == "boolean" else number(what, term), bare))

    def check_condition(self, expression: Expression) -> None:
        """That an expression is a condition.

        Raises:
            InvalidInput: ``type_mismatch`` and whatever is wrong with the expression.
        """
        self._meaning.condition("WHERE", expression)

    def two_values(self, source: int, kind: str, number: int) -> bool:
        """Whether a part of a source is one of two numbers in each row."""
        return kind == "level" or (number == 1 and self.listed[source].indicator)

    def known(self, column: Name) -> int:
        """The place of a column of any kind that a row must not lack."""
        term = self._meaning.term(column)
        known = RowTerm("number", Choice(((_is_known(term.code), Whole(1)),), None), True, 0, 1)
        return self._place(Source(known, bare=True))

    def factor(self, feature: Levels) -> int:
        """The place of a factor.

        Raises:
            InvalidInput: ``unknown_level`` for one that the value cannot have; ``type_mismatch``.
        """
        term = self._meaning.term(feature.expression)
        term = of_boolean(term) if term.kind == "boolean" else term
        levels = [_level(term, level) for level in feature.levels]
        rows = tuple((Whole(place), (level,)) for place, level in enumerate(levels))
        numbered = RowTerm("number", Table(term.code, rows), True, 0, len(levels) - 1)
        bare = isinstance(feature.expression, Name)
        place = self._place(Source(numbered, bare))
        if not _lists_all(term, len(levels)):
            is_other = Operation("and", (_is_known(term.code), Operation("is null", (numbered.code,))))
            other = RowTerm("number", Choice(((is_other, Whole(1)),), Whole(0)), True, 0, 1)
            found = Unlisted(
                place, self._place(Source(other, bare)), f"levels of {write(feature.expression)}"
            )
            if found not in self.unlisted:
                self.unlisted.append(found)
        return place

    def _place(self, source: Source) -> int:
        key = (source.term.code, source.term.scale)
        if key not in self._known:
            self._known[key] = len(self.listed)
            self.listed.append(source)
        return self._known[key]


def _lists_all(term: RowTerm, many: int) -> bool:
    """Whether so many levels are all that a value can have."""
    if term.possible is not None:
        return many == len(term.possible)
    return term.kind == "number" and many == term.high - term.low + 1


def _is_known(code: Code) -> Code:
    return Operation("not", (Operation("is null", (code,)),))


def _level(term: RowTerm, level: Number | Text) -> Whole | Quoted:
    possible = term.possible
    if isinstance(level, Text) != (term.kind == "text") or term.kind not in ("text", "number"):
        raise refuse(
            f"the level {name_of(level)!r} is not of the factor's kind",
            "texts stand in single quotes, numbers without; dates are no factors",
            "type_mismatch",
        )
    if isinstance(level, Text):
        if possible is not None and level.value not in possible:
            raise _unknown(level)
        return Quoted(level.value)
    steps = value_of(level) / term.scale
    within = steps.denominator == 1 and term.low <= steps <= term.high
    if not within or (possible is not None and steps.numerator not in possible):
        raise _unknown(level)
    return Whole(steps.numerator)


def _unknown(level: Number | Text) -> Exception:
    return refuse(
        f"the factor cannot have the level {name_of(level)!r}",
        "list levels of the schema's domain only: `kapok dataset show` has them",
        "unknown_level",
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One factor of a column: a function of one source.

    Attributes:
        source: Its place.
        kind: ``power`` of that number, ``level`` of that number, or ``piece`` of a spline of that number.
        number: Which.
        knots: Of a spline.
        name: For people.
        bounds: By the schema alone.
    """

    source: int
    kind: str
    number: int
    name: str
    bounds: Bounds
    knots: tuple[float, ...] = ()

    def of(self, values: Sequence[Floats]) -> Floats:
        """Of the values of all sources in some rows, one line each."""
        value = values[self.source]
        match self.kind:
            case "level":
                found: Floats = (value == self.number).astype(np.float64)
                return found
            case "piece":
                return _piece(value, self.number, self.knots)
            case _:
                return value if self.number == 1 else np.power(value, self.number)


def _piece(value: Floats, piece: int, knots: tuple[float, ...]) -> Floats:
    """A piece of a natural cubic spline; see `Spline`."""
    last, before, first = knots[-1], knots[-2], knots[piece]
    beyond = [np.maximum(value - knot, 0.0) ** 3 for knot in (first, before, last)]
    found: Floats = beyond[0] - beyond[1] * ((last - first) / (last - before))
    found += beyond[2] * ((before - first) / (last - before))
    return found / (last - knots[0]) ** 2


@dataclass(frozen=True, slots=True)
class DesignColumn:
    """One column of the matrix.

    Attributes:
        name: For people, and of its coefficient.
        parts: Of whose values it is the product; none of the intercept.
        bounds: By the schema alone.
        bare: Whether it is made of the dataset's own columns and their levels alone. Such a column may be
            constant at a holder; one that the question computes may not (`guards`).
        indicator: Whether it is a product of what has two values in each row.
    """

    name: str
    parts: tuple[_Part, ...]
    bounds: Bounds
    bare: bool
    indicator: bool


@dataclass(frozen=True, slots=True)
class Design:
    """The matrix of a model.

    Attributes:
        columns: In order; the intercept first, if there is one.
        centre: Of each column, shape (columns,).
        half: Of each column, above 0, shape (columns,).
    """

    columns: tuple[DesignColumn, ...]
    centre: Floats
    half: Floats

    @classmethod
    def of(cls, terms: Sequence[Term], sources: Sources) -> Design:
        """Lay out the columns of the terms, and list what they need among the sources.

        Raises:
            InvalidInput: ``bad_model``, ``too_many_columns``, ``constant_column``, ``unknown_level``, and
                whatever is wrong with an expression.
        """
        # Counted before any is made: factors multiply.
        if (many := sum(map(columns_of, terms))) > MOST_COLUMNS:
            raise refuse(
                f"the model has {many} columns, and {MOST_COLUMNS} are allowed",
                "use factors with fewer levels, or fewer interactions",
                "too_many_columns",
            )
        columns = tuple(column for term in terms for column in _columns(term, sources))
        names = [column.name for column in columns]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise refuse(f"the model has the column {doubled[0]} twice", "leave one out", "bad_model")
        has_intercept = INTERCEPT in terms
        centres, halves = [], []
        for column in columns:
            low, high = column.bounds.low, column.bounds.high
            if column.parts and low == high:
                raise refuse(
                    f"{column.name} is {low:g} in every row, by the schema's bounds",
                    "leave it out",
                    "constant_column",
                )
            if not math.isfinite(high - low):
                raise refuse(f"{column.name} can be too large", "use a lower power", "number_too_large")
            moved = has_intercept and bool(column.parts)
            centres.append((low + high) / 2 if moved else 0.0)
            halves.append((high - low) / 2 if moved else column.bounds.largest)
        return cls(columns, np.array(centres), np.array(halves))

    @property
    def intercept(self) -> int | None:
        """The place of the intercept; None where there is none."""
        return next((place for place, column in enumerate(self.columns) if not column.parts), None)

    def raw(self, values: Sequence[Floats], rows: int) -> Floats:
        """The matrix in the schema's units, shape (rows, columns), each column in one piece of memory."""
        found = np.ones((len(self.columns), rows)).T
        for place, column in enumerate(self.columns):
            for part in column.parts:
                found[:, place] *= part.of(values)
        return found

    def standardised(self, raw: Floats) -> Floats:
        """The same with every entry in [-1, 1]."""
        found: Floats = (raw - self.centre) / self.half
        return found


def _columns(term: Term, sources: Sources) -> Iterator[DesignColumn]:
    if not term:
        yield DesignColumn("(intercept)", (), Bounds(1.0, 1.0), bare=True, indicator=True)
        return
    products: list[tuple[_Part, ...]] = [()]
    for feature in term:
        parts = list(_parts(feature, sources))
        products = [(*product, part) for product in products for part in parts]
    simple = [isinstance(one, Plain | Levels) and isinstance(one.expression, Name) for one in term]
    for product in products:
        yield DesignColumn(
            ":".join(part.name for part in product),
            product,
            reduce(Bounds.times, (part.bounds for part in product)),
            bare=all(simple),
            indicator=all(sources.two_values(part.source, part.kind, part.number) for part in product),
        )


def _parts(feature: Feature, sources: Sources) -> Iterator[_Part]:
    text = write(feature.expression)
    if isinstance(feature, Levels):
        source = sources.factor(feature)
        for place, level in enumerate(feature.levels):
            if level != feature.without:
                yield _Part(source, "level", place, f"{text}[{name_of(level)}]", Bounds(0.0, 1.0))
        return
    source = sources.number("a model", feature.expression)
    bounds = sources.listed[source].bounds
    match feature:
        case Powers(_, degree):
            for power in range(1, degree + 1):
                yield _Part(
                    source, "power", power, f"{text}^{power}" if power > 1 else text, _power(bounds, power)
                )
        case Spline(_, knots):
            yield _Part(source, "power", 1, text, bounds)
            places = tuple(float(value_of(knot)) for knot in knots)
            for piece in range(len(knots) - 2):
                # Zero up to its knot, and rising from there.
                top = float(_piece(np.array([bounds.high]), piece, places)[0])
                yield _Part(source, "piece", piece, f"{text}'{piece + 1}", Bounds(0.0, top), places)
        case _:
            yield _Part(source, "power", 1, text, bounds)


def _power(bounds: Bounds, power: int) -> Bounds:
    ends = (bounds.low**power, bounds.high**power)
    least = 0.0 if power % 2 == 0 and bounds.low < 0 < bounds.high else min(ends)
    return Bounds(least, max(ends))
