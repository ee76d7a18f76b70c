"""What a holder knows of one question: one table for each measure, from the atoms that its engine counted.

Every number is checked against what rows within the schema's bounds can give; anything else is an engine or
a table that cannot be used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from kapok.computations.language.syntax import Call, Case, Expression, Null, Number
from kapok.computations.query.aggregates import Moment
from kapok.computations.query.disclosure.backgrounds import Extremes, looked_at, together
from kapok.computations.query.disclosure.branches import summed_branches
from kapok.computations.query.disclosure.dominance import Magnitudes
from kapok.computations.query.measures import Measure, centre
from kapok.computations.query.params import Question
from kapok.computations.rows.texts import TEXT_FUNCTIONS
from kapok.documents.dataset import Dataset

__all__ = ["Cell", "Counts", "ImpossibleError", "Table", "Tables", "read_atoms"]

Counts = npt.NDArray[np.int64]
Cell: TypeAlias = tuple[int, ...]

_NO_INDEX: Final = -1
_AT_ONCE: Final = 2**20

_STRICT: Final = TEXT_FUNCTIONS | {
    *("+", "-", "*", "neg", "abs", "sign", "round", "floor", "ceil", "trunc", "||"),
    *("=", "<>", "<", "<=", ">", ">=", "in", "between", "not"),
}
"""What is unknown exactly where a part is."""


class ImpossibleError(Exception):
    """The engine's result is not one that a table within the schema's bounds can give."""


@dataclass(slots=True)
class Table:
    """One measure of one holder, over all axes; a spread one has its values as one axis more, the last.

    Attributes:
        rows: Rows in each finest cell for which its condition holds; without the axis of a spread one.
        sizes: Those of them in which its arguments are known.
        parts: Other sizes that the words tell of: for each argument that is summed its contributors, and of
            one with two values those that have the other; for each branch inside, its rows and all others.
        sums: The moments of the finest cells that have rows.
        magnitudes: For each argument that is summed, those of the finest cells that have rows.
        extremes: The same for arguments that the question computes, or a condition looks at.
    """

    rows: Counts
    sizes: Counts
    parts: list[Counts]
    sums: dict[Cell, dict[Moment, int]]
    magnitudes: list[dict[Cell, Magnitudes]]
    extremes: list[dict[Cell, Extremes]]


@dataclass(frozen=True, slots=True)
class Tables:
    """All that one holder knows of one question.

    Attributes:
        rows: Rows in each finest cell that WHERE keeps.
        measures: The table of each measure.
        apart: For pairs of measures whose rows differ by more than which columns are known in them, by the
            numbers of the two: the rows in each finest cell that the first has and the second lacks.
    """

    rows: Counts
    measures: list[Table]
    apart: dict[tuple[int, int], Counts]


def _comparable(measures: Sequence[Measure]) -> list[tuple[int, int]]:
    """Pairs of measures whose rows differ by more than which columns are known in them."""
    return [
        (one, other)
        for one, first in enumerate(measures)
        for other, second in enumerate(measures)
        if one != other and not (first.condition == second.condition and _strict(first) and _strict(second))
    ]


def _strict(measure: Measure) -> bool:
    """Whether its arguments are known wherever all columns in them are: no more than a choice of columns."""
    return all(map(_is_strict, measure.arguments))


def _is_strict(expression: Expression) -> bool:
    match expression:
        case Call("/" | "%" | "mod", (one, Number())):
            return _is_strict(one)
        case Call(name, arguments):
            return name in _STRICT and all(map(_is_strict, arguments))
        case Case() | Null():
            return False
        case _:
            return True


def read_atoms(
    question: Question, dataset: Dataset, rows: Sequence[Sequence[Any]], largest: int, extremes: int
) -> Tables:
    """Read the result of `engine_sql`, which was given the same numbers of values to bring.

    Raises:
        ImpossibleError: it is none that a table within the schema can give.
    """
    return _Reading(question, dataset, largest, extremes).read(rows)


class _Reading:
    def __init__(self, question: Question, dataset: Dataset, largest: int, extremes: int) -> None:
        self._question = question
        self._dataset = dataset
        self._largest = largest
        self._extremes = extremes
        self._looked_at = {
            (number, name)
            for number, measure in enumerate(question.measures)
            for place, name in enumerate("ab"[: len(measure.arguments)])
            if extremes and name in measure.moments and looked_at(question, measure, place)
        }
        self._branches = [_branches(measure) for measure in question.measures]
        self._known = [_numbers(axis.values) for axis in question.axes]
        self._values = [_numbers(measure.values) for measure in question.measures]
        # What tells atoms apart stands before COUNT(*), see `engine_sql`.
        self._keys = len(question.axes) + sum(
            (measure.code is not None) + bool(measure.arguments) + measure.spread
            for measure in question.measures
        )
        shape = tuple(len(axis.values) for axis in question.axes)
        self._tables = Tables(
            np.zeros(shape, dtype=np.int64),
            [_table(shape, measure) for measure in question.measures],
            {},
        )
        self._apart = _Apart(_comparable(question.measures), shape)

    def read(self, rows: Sequence[Sequence[Any]]) -> Tables:
        seen: set[tuple[object, ...]] = set()
        total = 0
        for row in rows:
            rest = iter(row)
            cell = tuple(_number(known, next(rest)) for known in self._known)
            kept, held, values = self._held(rest)
            count = whole(next(rest))
            atom = tuple(row[: self._keys])
            if atom in seen or count < 0:
                raise ImpossibleError("a group twice, or of less than no rows")
            seen.add(atom)
            total += count
            if total > self._dataset.rows_max:
                raise ImpossibleError("more rows than the schema allows")
            self._tables.rows[cell] += count
            for number in range(len(self._question.measures)):
                # The engine gives sums of all measures, also of those that the atom's rows do not have.
                read = self._moments(number, rest, count if held[number] else 0)
                self._tables.measures[number].rows[cell] += count if kept[number] else 0
                if held[number]:
                    self._add(number, cell, values[number], count, read)
            self._apart.add(cell, held, count)
        self._tables.apart.update(self._apart.counted())
        return self._tables

    def _held(self, rest: Iterator[Any]) -> tuple[list[bool], list[bool], list[int]]:
        """For each measure whether its condition holds, whether it has the rows, and of which value."""
        kept, held, values = [], [], []
        for measure, known in zip(self._question.measures, self._values, strict=True):
            holds = measure.code is None or _truth(next(rest))
            has = holds
            if measure.arguments:
                has = _truth(next(rest)) and holds
            value = 0
            if measure.spread:
                raw = next(rest)
                value = _number(known, raw) if has else 0
            kept.append(holds)
            held.append(has)
            values.append(value)
        return kept, held, values

    def _moments(self, number: int, rest: Iterator[Any], count: int) -> _Moments:
        measure = self._question.measures[number]
        if not measure.moments:
            return _COUNTED_ONLY
        sums: dict[Moment, int] = {}
        for moment in measure.moments:
            raw = next(rest)
            sums[moment] = 0 if raw is None and not count else whole(raw)
        if not measure.possible(count, sums):
            raise ImpossibleError("sums that no values within the bounds have")
        parts: list[int] = []
        magnitudes: list[tuple[int, Cell]] = []
        extremes: list[Extremes] = []
        for name, term in zip("ab", measure.terms, strict=False):
            if name not in measure.moments:
                continue
            contributors = whole(next(rest))
            if not 0 <= contributors <= count:
                raise ImpossibleError("more contributors than known values")
            parts.append(contributors)
            both = term.two_values
            if both is not None:
                parts.append(count - contributors)
                told = contributors * both[1] + (count - contributors) * both[0] - centre(term) * count
                if sums[name] != told:
                    raise ImpossibleError("a sum that no values of the two have")
            if self._largest:
                total, listed = next(rest), next(rest)
                magnitudes.append((whole(total or 0), _values(listed)))
            for _ in range(self._branches[number][name]):
                taken = whole(next(rest))
                if not 0 <= taken <= count:
                    raise ImpossibleError("more rows of a branch than known values")
                parts += [taken, count - taken]
            if (number, name) in self._looked_at:
                total = sums[name] + centre(term) * count
                extremes.append(Extremes(count, total, _values(next(rest)), _values(next(rest))))
        return _Moments(sums, parts, magnitudes, extremes)

    def _add(self, number: int, cell: Cell, value: int, count: int, read: _Moments) -> None:
        table = self._tables.measures[number]
        if self._question.measures[number].spread:
            cell = (*cell, value)
        table.sizes[cell] += count
        for sizes, part in zip(table.parts, read.parts, strict=True):
            sizes[cell] += part
        kept = table.sums.setdefault(cell, dict.fromkeys(read.sums, 0))
        for moment, total in read.sums.items():
            kept[moment] += total
        for argument, (total, listed) in zip(table.magnitudes, read.magnitudes, strict=False):
            before = argument.get(cell, Magnitudes(0, ()))
            largest = sorted((*before.largest, *listed), reverse=True)[: self._largest]
            argument[cell] = Magnitudes(before.total + total, tuple(largest))
        for found, extremes in zip(table.extremes, read.extremes, strict=False):
            found[cell] = together([found.get(cell, Extremes()), extremes], self._extremes)


class _Apart:
    """Counts for pairs of measures the rows that the first has and the second lacks, many atoms at once.

    Args:
        pairs: Numbers of the measures that are compared.
        shape: Of the finest cells.
    """

    def __init__(self, pairs: Sequence[tuple[int, int]], shape: Cell) -> None:
        self._pairs, self._shape = pairs, shape
        self._compared = sorted({number for pair in pairs for number in pair})
        width = len(self._compared)
        self._most = max(_AT_ONCE // max(width, 1) ** 2, 1)
        self._atoms: list[tuple[Cell, bytes, int]] = []
        # By cell, by the measure that has the rows, by the one that lacks them.
        self._counts = np.zeros((math.prod(shape) if width else 0, width, width), dtype=np.int64)

    def add(self, cell: Cell, held: Sequence[bool], count: int) -> None:
        """Note an atom: its cell, which measures have its rows, and how many these are."""
        if self._compared:
            self._atoms.append((cell, bytes(held[number] for number in self._compared), count))
            if len(self._atoms) == self._most:
                self._count()

    def counted(self) -> dict[tuple[int, int], Counts]:
        """The rows apart of each pair in each finest cell."""
        if self._atoms:
            self._count()
        place = {number: index for index, number in enumerate(self._compared)}
        return {
            (one, other): self._counts[:, place[one], place[other]].reshape(self._shape)
            for one, other in self._pairs
        }

    def _count(self) -> None:
        cells, flags, counts = zip(*self._atoms, strict=True)
        self._atoms = []
        has = np.frombuffer(b"".join(flags), dtype=np.bool_).reshape(len(flags), -1)
        apart = (has[:, :, None] & ~has[:, None, :]) * np.array(counts, dtype=np.int64)[:, None, None]
        flat = np.array([_flat(cell, self._shape) for cell in cells])
        order = np.argsort(flat, kind="stable")
        found, first = np.unique(flat[order], return_index=True)
        self._counts[found] += np.add.reduceat(apart[order], first)


def _flat(cell: Cell, shape: Cell) -> int:
    """The place of a cell in C order."""
    place = 0
    for index, length in zip(cell, shape, strict=True):
        place = place * length + index
    return place


@dataclass(frozen=True, slots=True)
class _Moments:
    sums: dict[Moment, int]
    parts: list[int]
    magnitudes: list[tuple[int, Cell]]
    extremes: list[Extremes]


_COUNTED_ONLY: Final = _Moments({}, [], [], [])


def _table(shape: Cell, measure: Measure) -> Table:
    rows = np.zeros(shape, dtype=np.int64)
    if measure.spread:
        shape = (*shape, len(measure.values))
    summed = [term for name, term in zip("ab", measure.terms, strict=False) if name in measure.moments]
    parts = sum(2 if term.two_values else 1 for term in summed) + 2 * sum(_branches(measure).values())
    return Table(
        rows,
        np.zeros(shape, dtype=np.int64),
        [np.zeros(shape, dtype=np.int64) for _ in range(parts)],
        {},
        [{} for _ in summed],
        [{} for _ in summed],
    )


def _branches(measure: Measure) -> dict[str, int]:
    """How many branches are counted of each argument."""
    return {
        name: sum(branches.count for branches in summed_branches(measure, place))
        for place, name in enumerate("ab"[: len(measure.arguments)])
    }


def _values(listed: Sequence[Any] | None) -> Cell:
    # A dialect may list what is not known as well, at the end.
    return tuple(whole(one) for one in listed or () if one is not None)


def _numbers(values: Sequence[object]) -> dict[tuple[type, object], int]:
    return {(type(value), value): number for number, value in enumerate(values)}


def _number(known: dict[tuple[type, object], int], value: object) -> int:
    number = known.get((type(value), value), _NO_INDEX)
    if number == _NO_INDEX:
        raise ImpossibleError("a group outside the domain")
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ImpossibleError("neither true nor false")
    return value


def whole(number: Any) -> int:
    """The whole number that an engine gives in whatever type.

    Raises:
        ImpossibleError: it is none.
    """
    if isinstance(number, bool):
        raise ImpossibleError("not a whole number")
    found = int(number)
    if found != number:
        raise ImpossibleError("not a whole number")
    return found
