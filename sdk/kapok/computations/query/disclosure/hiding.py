"""What a holder does not show of one question, and why: the rules of `holder`, applied to its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from kapok.computations.engines import Note, Thresholds
from kapok.computations.query.disclosure.backgrounds import few_others, shifted, together
from kapok.computations.query.disclosure.dominance import Magnitudes, dominated, largest_needed
from kapok.computations.query.disclosure.patterns import Told, patterns
from kapok.computations.query.disclosure.selection import Selection
from kapok.computations.query.disclosure.suppression import Axes, Pattern
from kapok.computations.query.params import Question
from kapok.computations.query.tables import Cell, Counts, Tables
from kapok.documents.dataset import Dataset

__all__ = ["Chosen", "Hidden", "Hiding"]

Hidden = npt.NDArray[np.bool_]

_Value = TypeVar("_Value")

_FEW_ROWS: Final = "a cell has fewer rows than min_cell"
_FEW_KNOWN: Final = "a cell has fewer known values than min_cell"
_FEW_CONTRIBUTORS: Final = "a cell's sum would tell of fewer rows than min_cell"
_FEW_APART: Final = "a cell has all but a few of the rows of another aggregate of the question"
_COMPLEMENTARY: Final = "a cell would give another one back that is not shown"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What conditions choose from: a finer question, and this holder's numbers for it."""

    selection: Selection
    tables: Tables


class Hiding:
    """Finds the hidden cells of each measure, and notes why."""

    def __init__(
        self,
        question: Question,
        dataset: Dataset,
        thresholds: Thresholds,
        tables: Tables,
        chosen: Chosen | None,
        note: Note,
    ) -> None:
        self._question = question
        self._thresholds = thresholds
        self._tables = tables
        self._chosen = chosen
        self._show_empty = dataset.empty_cells == "show"
        self._note = note
        self._noted: set[tuple[str, str]] = set()

    def hidden(self) -> list[Pattern]:
        """For each measure which cells are hidden in the tables that are answered, by the axes of each."""
        least, show_empty = self._thresholds.min_cell, self._show_empty
        of_rows: Pattern = {}
        of_measures: list[dict[Axes, Hidden]] = [{} for _ in self._question.measures]
        if self._chosen is not None:
            behind = self._chosen.selection
            of_rows, of_measures = behind.patterns(self._chosen.tables, least, show_empty=show_empty)
        _, found = patterns(
            self._tables.rows,
            [self._told(number, under) for number, under in enumerate(of_measures)],
            least,
            show_empty=show_empty,
            unknown=[axis.unknown for axis in self._question.axes],
            under=of_rows,
            answered=self._question.sets,
        )
        for number, pattern in enumerate(found):
            for kept in self._answered(number):
                if pattern[kept].any():
                    self._note_reasons(number, kept, pattern[kept])
        return found

    def _answered(self, number: int) -> list[Axes]:
        """The tables of a measure that leave the holder; a spread one has its values as the last axis."""
        spread = (len(self._question.axes),) if self._question.measures[number].spread else ()
        return [(*kept, *spread) for kept in self._question.sets]

    def _told(self, number: int, under: Pattern) -> Told:
        """What the words of a measure tell of this holder."""
        table = self._tables.measures[number]
        finest = tuple(range(table.sizes.ndim))
        return Told(
            table.sizes,
            (*table.parts, *self._left_over(number)),
            None if self._question.measures[number].condition is None else table.rows,
            {kept: self._primary(number, kept) for kept in {*self._answered(number), finest}},
            under,
        )

    def _left_over(self, number: int) -> list[Counts]:
        """What other measures have besides all the rows of this one: a subtraction tells it."""
        if self._question.measures[number].spread:
            # Nobody can say of which value they are.
            return []
        return [
            self._tables.apart[other, one]
            for (one, other), lacking in self._tables.apart.items()
            if one == number and not lacking.any()
        ]

    def _small(self, number: int, kept: Axes) -> Hidden:
        sizes = _margin(self._tables.measures[number].sizes, kept)
        few = sizes < self._thresholds.min_cell
        return np.asarray(few & (sizes > 0) if self._show_empty else few | (sizes == 0))

    def _contributors(self, number: int, kept: Axes) -> Hidden:
        table = self._tables.measures[number]
        found = np.zeros(_margin(table.sizes, kept).shape, dtype=np.bool_)
        for part in table.parts:
            counted = _margin(part, kept)
            found = found | ((counted > 0) & (counted < self._thresholds.min_cell))
        return found

    def _primary(self, number: int, kept: Axes) -> Hidden:
        """What is hidden for other reasons than its size."""
        none = np.zeros(_margin(self._tables.measures[number].sizes, kept).shape, dtype=np.bool_)
        dominated = self._dominated(number, kept, none.copy(), noted=False)
        return np.asarray(self._apart(number, kept, none) | dominated | self._foreground(number, kept))

    def _note_reasons(self, number: int, kept: Axes, hidden: Hidden) -> None:
        """Say of each hidden cell the first reason, and each reason once."""
        none = np.zeros(hidden.shape, dtype=np.bool_)
        of_size = _FEW_KNOWN if self._question.measures[number].arguments else _FEW_ROWS
        left = hidden
        for why, cells in (
            (of_size, self._small(number, kept)),
            (_FEW_CONTRIBUTORS, self._contributors(number, kept) | self._foreground(number, kept)),
            (_FEW_APART, self._apart(number, kept, none)),
            (None, self._dominated(number, kept, none.copy(), noted=True)),
            (_COMPLEMENTARY, hidden),
        ):
            if why is not None and (left & cells).any():
                self._say(number, why)
            left = left & ~cells

    def _apart(self, number: int, kept: Axes, found: Hidden) -> Hidden:
        """Where all rows of the measure are rows of another too, and few of the other's are left over."""
        for (one, other), left in self._tables.apart.items():
            if one == number:
                lacking, over = _margin(left, kept), _margin(self._tables.apart[other, one], kept)
                few = (lacking == 0) & (over > 0) & (over < self._thresholds.min_cell)
                found = found | (few[..., None] if found.ndim > few.ndim else few)
        return found

    def _dominated(self, number: int, kept: Axes, found: Hidden, *, noted: bool) -> Hidden:
        """Where a sum is mostly that of its largest contributors."""
        table = self._tables.measures[number]
        looked: list[tuple[Cell, Magnitudes]] = []
        for argument in table.magnitudes:
            looked += [(cell, _together(several)) for cell, several in _by_cell(argument, kept).items()]
        for values in table.extremes:
            for cell, parts in _by_cell(values, kept).items():
                most = max(self._thresholds.min_cell, largest_needed(self._thresholds))
                looked += [(cell, magnitudes) for magnitudes in shifted(together(parts, most))]
        for cell, magnitudes in looked:
            why = dominated(magnitudes, self._thresholds)
            if why is not None:
                found[cell] = True
                if noted:
                    self._say(number, why)
        return found

    def _foreground(self, number: int, kept: Axes) -> Hidden:
        """Where few rows of a sum have another value than all the others."""
        table, least = self._tables.measures[number], self._thresholds.min_cell
        found = np.zeros(_margin(table.sizes, kept).shape, dtype=np.bool_)
        for argument in table.extremes:
            for place, several in _by_cell(argument, kept).items():
                found[place] |= few_others(together(several, least), least)
        return found

    def _say(self, number: int, why: str) -> None:
        """Note it once: which measure and which rule, no cell and no number."""
        measure = self._question.measures[number]
        named = measure.text if measure.arguments or measure.condition is not None else "COUNT(*)"
        if (named, why) not in self._noted:
            self._noted.add((named, why))
            self._note(named, why)


def _margin(counts: Counts, kept: Axes) -> Counts:
    return np.asarray(counts.sum(axis=tuple(axis for axis in range(counts.ndim) if axis not in kept)))


def _by_cell(values: Mapping[Cell, _Value], kept: Axes) -> dict[Cell, list[_Value]]:
    """What is known of finest cells, by the cells of a margin."""
    found: dict[Cell, list[_Value]] = {}
    for cell, value in values.items():
        found.setdefault(tuple(cell[axis] for axis in kept), []).append(value)
    return found


def _together(magnitudes: Iterable[Magnitudes]) -> Magnitudes:
    """Those of several cells as one."""
    several = list(magnitudes)
    largest = sorted((one for each in several for one in each.largest), reverse=True)
    # More than the rules look at do no harm: they take the first.
    return Magnitudes(sum(each.total for each in several), tuple(largest))
