"""The holder's half of later rounds: how many rows lie up to each threshold of a search.

What is shown in the first round is found again from the data, so that nothing needs to be kept: a cell that
was hidden there stays hidden in every round. Then one SELECT for each searched measure and width:

    SELECT g0, CASE WHEN f < 7 THEN -1 WHEN f <= 22 THEN f ELSE -2 END, COUNT(*)
    FROM (SELECT t.sex AS g0, (t.age - 20) // 4 AS f FROM … AS t WHERE …) AS r
    GROUP BY 1, 2

where parts 7 to 22 are what is left of some cell's interval: rows in them are told apart by their part, all
others only by the gap between intervals that they lie in.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from sqlglot import exp

from kapok.computations.encoding import encoded
from kapok.computations.engines import EVERY, Engine, Note, Thresholds, unheard
from kapok.computations.query.build import KEPT
from kapok.computations.query.holder import shown
from kapok.computations.query.intervals import Interval, Intervals
from kapok.computations.query.measures import Measure
from kapok.computations.query.params import Question
from kapok.computations.query.quantiles import PARTS, RANKS
from kapok.computations.query.tables import ImpossibleError, Tables, whole
from kapok.computations.rows.engine_terms import ROWS, Writer
from kapok.computations.rows.operations import Operation, Whole
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

__all__ = ["contribute_thresholds", "tally_sql"]

_FEW: Final = "a threshold has some of the rows on one side, and fewer than min_cell"

_Cell: TypeAlias = tuple[int, ...]
_Tally: TypeAlias = dict[int, int]
"""The rows of one cell in each part that is told apart, and in each gap, whose number is -1, -2, …"""


def contribute_thresholds(
    question: Question,
    dataset: Dataset,
    intervals: Intervals,
    engine: Engine,
    thresholds: Thresholds,
    note: Note = unheard,
) -> WordVector:
    """Compute this holder's words for a later round. As the first round's, it never fails because of data.

    Args:
        question: Parsed from the specification by the node itself.
        dataset: Its schema.
        intervals: The analyst's, as `read_intervals` read them.
        engine: Knows the holder's table as ``source``.
        thresholds: What the holder's policy asks of a cell.
        note: Hears what was suppressed and why, for the holder's own log.

    Returns:
        `question.words` words: for each cell, quantile and rank, [rows up to the threshold, flag] for each
        threshold; zeros where a search has ended, and to the end.
    """
    found = shown(question, dataset, engine, thresholds, note)
    told: dict[int, list[int | None]] = {}
    if found is not None:
        counting = _Counting(question, dataset, intervals, thresholds.min_cell, note)
        try:
            told = counting.told(*found, engine)
        except Exception as error:  # noqa: BLE001  whatever it is, it depends on data: nobody outside may notice
            note(EVERY, f"the engine could not answer ({type(error).__name__})")
    return WordVector.from_integers(_words(question, intervals, told), question.word_bits)


def _words(question: Question, intervals: Intervals, told: dict[int, list[int | None]]) -> list[int]:
    """All words in their order; random ones wherever nothing is told of a search that goes on."""
    bits = question.random_bits
    words: list[int] = []
    for place, interval in enumerate(intervals):
        for count in told.get(place, [0 if interval is None else None] * (PARTS - 1)):
            if count is None:
                words += [secrets.randbits(bits), 1 + secrets.randbelow((1 << bits) - 1)]
            else:
                words += [count, 0]
    return words + [0] * (question.words - len(words))


class _Counting:
    """Counts for every search of a cell that is shown."""

    def __init__(
        self, question: Question, dataset: Dataset, intervals: Intervals, least: int, note: Note
    ) -> None:
        self._question = question
        self._dataset = dataset
        self._intervals = intervals
        self._least = least
        self._note = note

    def told(self, tables: Tables, hidden: Sequence[Any], engine: Engine) -> dict[int, list[int | None]]:
        """For each search by its place the rows up to each threshold, None where that is not shown.

        Raises:
            Exception: anything that an engine raises; ImpossibleError when its result cannot be.
        """
        [kept] = self._question.sets
        found: dict[int, list[int | None]] = {}
        for number, width in self._asked():
            measure, table = self._question.measures[number], tables.measures[number]
            searches = [
                (cell, place, interval)
                for cell, place, measured in self._places()
                if measured == number
                and (interval := self._intervals[place]) is not None
                and interval.width == width
            ]
            ranges = _joined(interval.parts for _, _, interval in searches)
            sql = tally_sql(self._question, self._dataset, measure, width, ranges, engine.dialect)
            tallies = _read(self._question, engine.fetch(sql))
            for cell, place, interval in searches:
                tally = tallies.get(cell, {})
                if sum(tally.values()) != int(table.sizes[cell]):
                    raise ImpossibleError("other rows than a moment ago")
                if not hidden[number][kept][cell]:
                    found[place] = self._shown(measure, tally, ranges, interval)
        return found

    def _asked(self) -> list[tuple[int, int]]:
        """The measures that are searched, each with the widths of its intervals."""
        return sorted(
            {
                (measure, interval.width)
                for _, place, measure in self._places()
                if (interval := self._intervals[place]) is not None
            }
        )

    def _places(self) -> list[tuple[_Cell, int, int]]:
        """All searches: their cell, their place among all, and the number of their measure."""
        [kept] = self._question.sets
        measures = [result.measure for result in self._question.quantiles for _ in range(RANKS)]
        pairs = [(cell, measure) for cell in self._question.places(kept) for measure in measures]
        return [(cell, place, measure) for place, (cell, measure) in enumerate(pairs)]

    def _shown(
        self, measure: Measure, tally: _Tally, ranges: Sequence[range], interval: Interval
    ) -> list[int | None]:
        """The rows up to each threshold, None where some but too few lie on one side of it."""
        parts = interval.parts
        gaps = sum(one.start <= parts.start for one in ranges)
        up_to = sum(
            count for part, count in tally.items() if (-1 - part < gaps if part < 0 else part < parts.start)
        )
        total, told = sum(tally.values()), list[int | None]()
        for part in parts[:-1]:
            up_to += tally.get(part, 0)
            fits = all(side == 0 or side >= self._least for side in (up_to, total - up_to))
            told.append(up_to if fits else None)
        if None in told:
            self._note(measure.text, _FEW)
        return told + [0] * (PARTS - 1 - len(told))


def _joined(ranges: Iterable[range]) -> list[range]:
    """The same parts as ranges that do not touch, ascending."""
    joined: list[range] = []
    for one in sorted(set(ranges), key=lambda each: (each.start, each.stop)):
        if joined and one.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, one.stop))
        else:
            joined.append(one)
    return joined


def tally_sql(
    question: Question, dataset: Dataset, measure: Measure, width: int, ranges: Sequence[range], dialect: str
) -> str:
    """The engine's SELECT for one measure and width.

    Args:
        question: What is asked.
        dataset: Its schema.
        measure: One that has quantiles.
        width: How many values each part has.
        ranges: The parts to tell apart, ascending.
        dialect: Name of the SQL dialect as sqlglot knows it.
    """
    writer, term = Writer(dialect), measure.terms[0]
    number = Operation("-", (term.code, Whole(term.low)))
    divided = Operation("quotient", (number, Whole(width)))
    inner = exp.select(
        *(
            exp.alias_(writer.written(axis.term.code), f"g{place}")
            for place, axis in enumerate(question.axes)
        ),
        exp.alias_(writer.written(divided), "f"),
    ).from_(encoded(dataset, question.columns).subquery(ROWS, copy=False), copy=False)
    known = exp.Not(this=exp.Is(this=exp.Paren(this=writer.written(term.code)), expression=exp.Null()))
    codes = [code for code in (question.where, measure.code) if code is not None]
    inner = inner.where(known, *map(writer.written, codes), copy=False)
    own = exp.column("f", table=KEPT)
    part = exp.Case()
    for gap, parts in enumerate(ranges):
        below = exp.LT(this=own.copy(), expression=writer.whole(parts.start))
        within = exp.LT(this=own.copy(), expression=writer.whole(parts.stop))
        part = part.when(below, writer.whole(-1 - gap)).when(within, own.copy())
    part = part.else_(writer.whole(-1 - len(ranges)))
    keys = [exp.column(f"g{place}", table=KEPT) for place in range(len(question.axes))]
    select = exp.select(*keys, part, exp.Count(this=exp.Star())).from_(
        inner.subquery(KEPT, copy=False), copy=False
    )
    places = [exp.Literal.number(place) for place in range(1, len(keys) + 2)]
    return select.group_by(*places, copy=False).sql(dialect=dialect)


def _read(question: Question, rows: Sequence[Sequence[Any]]) -> dict[_Cell, _Tally]:
    """The engine's result by cell.

    Raises:
        ImpossibleError: it is none that a table within the schema can give.
    """
    known = [
        {(type(value), value): place for place, value in enumerate(axis.values)} for axis in question.axes
    ]
    found: dict[_Cell, _Tally] = {}
    for *keys, part, count in rows:
        try:
            cell = tuple(places[type(key), key] for places, key in zip(known, keys, strict=True))
        except KeyError:
            raise ImpossibleError("a group outside the domain") from None
        tally = found.setdefault(cell, {})
        if whole(part) in tally or whole(count) < 0:
            raise ImpossibleError("a part twice, or of less than no rows")
        tally[whole(part)] = whole(count)
    return found
