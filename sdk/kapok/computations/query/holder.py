"""The holder's half: one SELECT beside the data → one vector of words. It never fails because of data.

Whatever goes wrong with the data or the engine, and whatever is too small to show, leaves as random words,
which under the masks nobody can tell from others, and in the sum open to nothing. An error instead, or a
shorter vector, would answer questions about single persons.

    cell shown        [rows | known, sums …], flag 0
    cell suppressed   every word uniform below 2^w, flag uniform in [1, 2^w)

A cell is suppressed when its rows, or for an aggregate the rows in which its arguments are known and its
condition holds, are fewer than `min_cell`. No rows at all are too few as well, unless the dataset's schema
says that empty cells show. All cells are suppressed when WHERE keeps fewer than `min_rows` rows, whatever the
schema says of empty cells, or on any error.

Where an argument is summed, the cell is suppressed as well when some of its values are not zero but fewer
than `min_cell`: the zeros add nothing, and the sum is those few rows'. Of an argument that can have two
values only, sum and count tell how many rows have each, so neither may be had by some but too few. None at
all is shown: a sum of zeros. The same holds of the rows beside the commonest value, where a condition looks
at what is summed or the question computes it (`backgrounds`). See docs/decisions/0008-few-contributors.md for
what this does not stop.

Two measures of one cell subtract: where all rows of one are rows of the other too, and a few of the other's
are left over, the smaller one is suppressed (docs/decisions/0017-terms-and-conditions.md). Further cells are
hidden so that neither margins nor conditions give these back, and where a few contributors dominate a sum
(`patterns`, `suppression`, `selection`, `dominance`).

Single values are not compared with the schema's bounds here: the node does that over its whole table when
it joins and at each new version, never per question. What is checked here is that counts and sums are
possible within them.

Source: design page "Suppression happens inside the mask".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from kapok.computations.engines import EVERY, Engine, Note, Thresholds, unheard
from kapok.computations.query.aggregates import Moment
from kapok.computations.query.build import engine_sql
from kapok.computations.query.disclosure.dominance import largest_needed
from kapok.computations.query.disclosure.hiding import Chosen, Hiding
from kapok.computations.query.disclosure.selection import selection
from kapok.computations.query.disclosure.suppression import Pattern
from kapok.computations.query.measures import Measure
from kapok.computations.query.params import Question
from kapok.computations.query.tables import Table, Tables, read_atoms
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

__all__ = ["Engine", "Thresholds", "contribute", "shown"]


def contribute(
    question: Question, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    """Compute this holder's words for a question.

    Args:
        question: Parsed from the specification by the node itself, over this very dataset.
        dataset: Its schema.
        engine: Knows the holder's table as ``source``.
        thresholds: What the holder's policy asks of a cell.
        note: Hears what was suppressed and why, for the holder's own log.

    Returns:
        `question.words` words of `question.word_bits` bits, in the layout that `kapok.computations.query`
        describes. Each is at most V in magnitude, or uniform below 2^w.
    """
    words: list[int] = []
    found = shown(question, dataset, engine, thresholds, note)
    padding = [0] * (question.words - question.first_words)
    if found is None:
        for measure in question.measures * question.cells:
            for _ in range(measure.slots):
                words += _random_words(measure, question.random_bits)
        return WordVector.from_integers(words + padding, question.word_bits)
    tables, hidden = found
    for kept in question.sets:
        margins = [
            _Margin(question, measure, tables.measures[number], hidden[number], kept)
            for number, measure in enumerate(question.measures)
        ]
        for cell in question.places(kept):
            for margin in margins:
                words.extend(margin.words(cell))
    return WordVector.from_integers(words + padding, question.word_bits)


def shown(
    question: Question, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note
) -> tuple[Tables, list[Pattern]] | None:
    """What this holder knows, and for each measure what of it is hidden; None when all of it is."""
    largest = largest_needed(thresholds)
    extremes = max(largest, thresholds.min_cell)
    try:
        rows = engine.fetch(engine_sql(question, dataset, engine.dialect, largest, extremes))
        found = read_atoms(question, dataset, rows, largest, extremes)
        chosen = None
        if (behind := selection(question, dataset)) is not None:
            rows = engine.fetch(engine_sql(behind.finer, dataset, engine.dialect))
            chosen = Chosen(behind, read_atoms(behind.finer, dataset, rows, 0, 0))
        told: list[tuple[str, str]] = []
        hiding = Hiding(question, dataset, thresholds, found, chosen, lambda *said: told.append(said))
        hidden = hiding.hidden()
    except Exception as error:  # noqa: BLE001  whatever it is, it depends on data: nobody outside may notice
        # The class alone: an engine's message can quote a value.
        note(EVERY, f"the engine could not answer ({type(error).__name__})")
        return None
    if found.rows.sum() < thresholds.min_rows:
        note(EVERY, "the filter keeps fewer rows than min_rows")
        return None
    for said in told:
        note(*said)
    return found, hidden


def _random_words(measure: Measure, bits: int) -> list[int]:
    flag = 1 + secrets.randbelow((1 << bits) - 1)
    return [*(secrets.randbits(bits) for _ in range(1 + len(measure.moments))), flag]


class _Margin:
    """One measure over the axes of one grouping."""

    def __init__(
        self,
        question: Question,
        measure: Measure,
        table: Table,
        hidden: Pattern,
        kept: tuple[int, ...],
    ) -> None:
        self._measure = measure
        self._bits = question.random_bits
        axes = tuple(range(len(question.axes)))
        spread = (len(axes),) if measure.spread else ()
        self._hidden = hidden[(*kept, *spread)]
        self._sizes = table.sizes.sum(axis=tuple(axis for axis in axes if axis not in kept))
        self._sums: dict[tuple[int, ...], dict[Moment, int]] = {}
        for cell, sums in table.sums.items():
            place = tuple(cell[axis] for axis in kept)
            total = self._sums.setdefault(place, dict.fromkeys(measure.moments, 0))
            for moment, value in sums.items():
                total[moment] += value

    def words(self, cell: tuple[int, ...]) -> Iterator[int]:
        """The words of one cell."""
        if self._measure.spread:
            for value in range(self._measure.slots):
                yield from self._slot((*cell, value))
        else:
            yield from self._slot(cell)

    def _slot(self, place: tuple[int, ...]) -> list[int]:
        if self._hidden[place]:
            return _random_words(self._measure, self._bits)
        sums = self._sums.get(place, {}) if self._measure.moments else {}
        return [int(self._sizes[place]), *(sums.get(moment, 0) for moment in self._measure.moments), 0]
