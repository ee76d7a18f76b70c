"""The holder's half: one SELECT beside the data → one vector of words. It never fails because of data.

Whatever goes wrong with the data or the engine, and whatever is too small to show, leaves as random words,
which under the masks nobody can tell from others, and in the sum open to nothing. An error instead, or a
shorter vector, would answer questions about single persons.

    cell shown        [rows | known, sum], flag 0
    cell suppressed   every word uniform below 2^w, flag uniform in [1, 2^w)

A cell is suppressed when its rows, or for a column the rows in which it is known, are fewer than
`min_cell`. No rows at all are too few as well, unless the dataset's schema says that empty cells show. All
cells are suppressed when the filter keeps fewer than `min_rows` rows, whatever the schema says of empty
cells, or on any error.

A column that is summed or averaged is suppressed as well when some of its values are not zero but fewer
than `min_cell`: the zeros add nothing, and the sum is those few rows'. Of a column that can have two values
only, sum and count tell how many rows have each, so neither may be had by some but too few. None at all is
shown: a sum of zeros. See docs/decisions/0008-few-contributors.md for what this does not stop.

Single values are not compared with the schema's bounds here: the node does that over its whole table when
it joins and at each new version, never per question. What is checked here is that counts and sums are
possible within them.

Source: design page "Suppression happens inside the mask".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kapok.computations.engines import Engine, Note, Thresholds, unheard
from kapok.computations.query.build import engine_sql, two_values
from kapok.computations.query.params import Measure, Question
from kapok.documents.dataset import Column, Dataset, DomainValue
from kapok.protocols.words import WordVector

__all__ = ["Engine", "Thresholds", "contribute"]

_EVERY: Final = "every measure"
_FEW_ROWS: Final = "a cell has fewer rows than min_cell"
_FEW_KNOWN: Final = "a cell has fewer known values than min_cell"
_FEW_CONTRIBUTORS: Final = "a cell's sum would tell of fewer rows than min_cell"


class _ImpossibleError(Exception):
    """The engine's result is not one that a table within the schema's bounds can give."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """One measure in one group.

    Attributes:
        count: Rows, or known values.
        total: Their sum in steps where it is asked.
        parts: Sizes that are zero or at least `min_cell` where the measure is shown: the contributors of the
            sum, and of a column of two values those that have the other.
    """

    count: int
    total: int | None
    parts: tuple[int, ...] = ()

    def hidden(self, measure: Measure, least: int, *, empty: bool) -> str | None:
        """Why it does not leave the holder as it is, if so; `empty` says whether a cell without rows does."""
        if self.count == 0 and empty:
            return None
        if self.count == 0 or self.count < least:
            return _FEW_ROWS if measure.column is None else _FEW_KNOWN
        return None if all(part == 0 or part >= least for part in self.parts) else _FEW_CONTRIBUTORS


@dataclass(frozen=True, slots=True)
class _Group:
    rows: int
    cells: tuple[_Cell, ...]


def contribute(
    question: Question, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    """Compute this holder's words for a question.

    Args:
        question: Parsed from the specification by the node itself, over this very dataset.
        dataset: Its schema.
        engine: Knows the holder's table as ``source``.
        thresholds: The least sizes of the holder's policy.
        note: Hears what was suppressed and why, for the holder's own log.

    Returns:
        `question.words` words of `dataset.word_bits` bits, in the layout that `kapok.computations.query`
        describes. Each is at most V in magnitude, or uniform below 2^w.
    """
    found = _found(question, dataset, engine, thresholds, note)
    words: list[int] = []
    hidden: dict[tuple[str, str], None] = {}
    empty = _Group(0, tuple(_Cell(0, 0 if measure.with_sum else None) for measure in question.measures))
    for key in question.groups():
        cells = empty.cells if found is None else found.get(key, empty).cells
        for measure, cell in zip(question.measures, cells, strict=True):
            why = cell.hidden(measure, thresholds.min_cell, empty=dataset.empty_cells == "show")
            if found is None or why:
                words.extend(_random_words(measure, dataset.random_bits))
            else:
                words.extend([cell.count, *([] if cell.total is None else [cell.total]), 0])
            if found is not None and why:
                hidden[measure.column or "COUNT(*)", why] = None
    for measure_and_why in hidden:
        note(*measure_and_why)
    return WordVector.from_integers(words, dataset.word_bits)


def _found(
    question: Question, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note
) -> Mapping[tuple[DomainValue, ...], _Group] | None:
    """The groups, or None when all of them are suppressed."""
    try:
        found = _groups(question, dataset, engine)
    except Exception as error:  # noqa: BLE001  whatever it is, it depends on data: nobody outside may notice
        # The class alone: an engine's message can quote a value.
        note(_EVERY, f"the engine could not answer ({type(error).__name__})")
        return None
    if sum(group.rows for group in found.values()) < thresholds.min_rows:
        note(_EVERY, "the filter keeps fewer rows than min_rows")
        return None
    return found


def _random_words(measure: Measure, bits: int) -> list[int]:
    flag = 1 + secrets.randbelow((1 << bits) - 1)
    return [*(secrets.randbits(bits) for _ in range(measure.words - 1)), flag]


def _groups(question: Question, dataset: Dataset, engine: Engine) -> Mapping[tuple[DomainValue, ...], _Group]:
    """All groups that have rows, checked against the schema."""
    rows = engine.fetch(engine_sql(question, dataset, engine.dialect))
    known = [{(type(value), value): value for value in axis} for axis in question.axes]
    found: dict[tuple[DomainValue, ...], _Group] = {}
    for row in rows:
        key = []
        for values, value in zip(known, row, strict=False):
            if (type(value), value) not in values:
                raise _ImpossibleError("a group outside the domain")
            key.append(values[type(value), value])
        group = _group(row[len(known) :], question, dataset)
        if found.setdefault(tuple(key), group) is not group:
            raise _ImpossibleError("a group twice")
    if sum(group.rows for group in found.values()) > dataset.rows_max:
        raise _ImpossibleError("more rows than the schema allows")
    return found


def _group(numbers: Sequence[Any], question: Question, dataset: Dataset) -> _Group:
    """Read COUNT(*) and the measures of one group from the engine's row."""
    rest = iter(numbers)
    rows = _whole(next(rest))
    cells = []
    for measure in question.measures:
        if measure.column is None:
            cells.append(_Cell(rows, None))
            continue
        count = _whole(next(rest))
        if not 0 <= count <= rows:
            raise _ImpossibleError("more known values than rows")
        if measure.with_sum:
            cells.append(_summed(dataset.column(measure.column), count, next(rest), next(rest)))
        else:
            cells.append(_Cell(count, None))
    bound = dataset.word_value_bound
    if any(abs(word) > bound for cell in cells for word in (cell.count, cell.total or 0)):
        raise _ImpossibleError("a word beyond the schema's bound")
    return _Group(rows, tuple(cells))


def _summed(column: Column, count: int, raw_total: Any, raw_contributors: Any) -> _Cell:
    total = 0 if raw_total is None and count == 0 else _whole(raw_total)
    least, largest = column.step_bounds
    if not least * count <= total <= largest * count:
        raise _ImpossibleError("a sum that no values within the bounds have")
    contributors = _whole(raw_contributors)
    if not 0 <= contributors <= count:
        raise _ImpossibleError("more contributors than known values")
    both = two_values(column)
    if both is None:
        return _Cell(count, total, (contributors,))
    if total != contributors * both[1] + (count - contributors) * both[0]:
        raise _ImpossibleError("a sum that no values of the two have")
    return _Cell(count, total, (contributors, count - contributors))


def _whole(number: Any) -> int:
    whole = int(number)
    if whole != number or isinstance(number, bool):
        raise _ImpossibleError("not a whole number")
    return whole
