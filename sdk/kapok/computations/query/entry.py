"""The query's entry in the registry of computations.

What a holder does with its table is imported when it is done: an analyst's process, which lives for one
question, has no use for the SQL of engines, and would wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.query.analyst import answer
from kapok.computations.query.intervals import Intervals, read_intervals
from kapok.computations.query.params import OPERATIONS, Question
from kapok.computations.query.reading import read_question
from kapok.computations.query.search import advance
from kapok.computations.registry import Computation, Steps

if TYPE_CHECKING:
    from kapok.computations.engines import Engine, Note, Thresholds
    from kapok.documents.dataset import Dataset
    from kapok.protocols.words import WordVector

__all__ = ["COMPUTATION"]


def _contribute(
    question: Question, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note
) -> WordVector:
    from kapok.computations.query.holder import contribute

    return contribute(question, dataset, engine, thresholds, note)


def _contribute_tallies(
    question: Question,
    dataset: Dataset,
    intervals: Intervals,
    engine: Engine,
    thresholds: Thresholds,
    note: Note,
) -> WordVector:
    from kapok.computations.query.tallies import contribute_thresholds

    return contribute_thresholds(question, dataset, intervals, engine, thresholds, note)


COMPUTATION: Final = Computation(
    name="query",
    operations=OPERATIONS,
    functions=tuple(sorted(FUNCTIONS)),
    parse=read_question,
    contribute=_contribute,
    answer=answer,
    steps=Steps(read_intervals, _contribute_tallies, advance),
)
