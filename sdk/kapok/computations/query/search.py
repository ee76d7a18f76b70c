"""The analyst's half of quantiles: from each round's sum to a smaller interval for the value at every rank.

Between two rounds it keeps the first round's words, and for each cell and quantile how many rows there are
and which values are left at its ranks; nothing of those that cannot be found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kapok.computations.query.analyst import Answer, answer, impossible, known_rows
from kapok.computations.query.answers.values import SUPPRESSED, Cell
from kapok.computations.query.intervals import Interval, Intervals, encode_intervals
from kapok.computations.query.params import Question, Result
from kapok.computations.query.quantiles import PARTS, RANKS, ranks_of, span_of, value_between
from kapok.computations.registry import Next
from kapok.documents.dataset import Dataset
from kapok.protocols.secure_sum.params import MOST_MEMBERS

__all__ = ["advance"]


@dataclass(slots=True)
class _Search:
    """One quantile of one cell.

    Attributes:
        total: Rows in which the argument is known; None where that is suppressed.
        left: For each rank where its value lies; None once that cannot be told any closer.
    """

    total: int | None
    left: list[Interval | None]

    @property
    def open(self) -> Iterator[Interval | None]:
        """For each rank the interval to go on with; None where the search has ended."""
        return (None if one is None or one.low == one.high else one for one in self.left)


def advance(question: Question, dataset: Dataset, state: bytes | None, words: Sequence[int]) -> Next | Answer:
    """Take a round's sum into account.

    Args:
        question: As asked, with quantiles.
        dataset: Its schema.
        state: What the last call gave; None after the first round.
        words: `question.words` signed integers.

    Returns:
        The next round's parameters, or the answer after the last.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    if len(words) != question.words:
        raise impossible(f"it has {len(words)} words, not {question.words}")
    if state is None:
        first, number = list(words[: question.first_words]), 1
        searches = _begun(question, known_rows(question, dataset, first))
    else:
        kept = json.loads(state)
        first, number = kept["first"], kept["number"] + 1
        searches = [
            _Search(total, [None if pair is None else Interval(*pair) for pair in left])
            for total, left in kept["searches"]
        ]
        _narrow(question, searches, words)
    if number == question.rounds:
        return answer(question, dataset, first, _values(question, searches))
    intervals: Intervals = tuple(one for search in searches for one in search.open)
    return Next(encode_intervals(intervals), _kept(first, number, searches))


def _begun(question: Question, known: Sequence[Sequence[int | None]]) -> list[_Search]:
    spans = [span_of(question.measures[result.measure].terms[0]) for result in question.quantiles]
    return [
        _Search(total, [Interval(0, span) if total else None for _ in range(RANKS)])
        for totals in known
        for span, total in zip(spans, totals, strict=True)
    ]


def _kept(first: Sequence[int], number: int, searches: Sequence[_Search]) -> bytes:
    kept: dict[str, Any] = {"first": list(first), "number": number}
    kept["searches"] = [
        [search.total, [None if one is None else [one.low, one.high] for one in search.left]]
        for search in searches
    ]
    return json.dumps(kept).encode()


def _by_quantile(question: Question, searches: Sequence[_Search]) -> Iterator[tuple[Result, _Search]]:
    asked = question.quantiles
    return ((asked[number % len(asked)], search) for number, search in enumerate(searches))


def _narrow(question: Question, searches: Sequence[_Search], words: Sequence[int]) -> None:
    """Find the part that is left of every interval."""
    rest = iter(words)
    for result, search in _by_quantile(question, searches):
        for place, interval in enumerate(list(search.open)):
            shown = [_threshold(question, rest) for _ in range(PARTS - 1)]
            if interval is not None and search.total is not None:
                rank = ranks_of(result, search.total)[place]
                search.left[place] = _part(interval, shown, rank, search.total)


def _threshold(question: Question, rest: Iterator[int]) -> int | None:
    """The rows up to one threshold; None if somebody does not show it."""
    count, flag = next(rest), next(rest)
    if not 0 <= flag < MOST_MEMBERS << question.random_bits:
        raise impossible("a flag is out of range")
    return None if flag else count


def _part(interval: Interval, shown: Sequence[int | None], rank: int, total: int) -> Interval | None:
    """Where in an interval the value at a rank lies, as far as the thresholds that are shown tell.

    None if they tell nothing, or not all that they ever will: thresholds between single values do not change.
    """
    parts = interval.parts
    first, last, before = parts[0], parts[-1], 0
    for part, count in zip(parts[:-1], shown, strict=False):
        if count is None:
            continue
        if not before <= count <= total:
            raise impossible("there are fewer rows up to a value than up to a smaller one, or more than all")
        before = count
        if count <= rank:
            first = part + 1
        else:
            last = min(last, part)
    left = Interval(first * interval.width, min((last + 1) * interval.width - 1, interval.high))
    ended = left == interval or (interval.width == 1 and left.low != left.high)
    return None if ended else left


def _values(question: Question, searches: Sequence[_Search]) -> list[list[Cell]]:
    """For each cell the value of each quantile."""
    values: list[Cell] = []
    for result, search in _by_quantile(question, searches):
        term = question.measures[result.measure].terms[0]
        found = [
            Fraction((term.low + one.low) * term.scale)
            for one in search.left
            if one is not None and one.low == one.high
        ]
        if search.total == 0:
            values.append(None)
        elif search.total is None or len(found) != RANKS:
            values.append(SUPPRESSED)
        else:
            values.append(value_between(result, search.total, *found))
    each = len(question.quantiles)
    return [values[start : start + each] for start in range(0, len(values), each)]
