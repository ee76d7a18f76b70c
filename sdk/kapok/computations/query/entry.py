"""The query's entry in the registry of computations."""

from __future__ import annotations

from typing import Final

from kapok.computations.language.vocabulary import FUNCTIONS
from kapok.computations.query.analyst import answer
from kapok.computations.query.holder import contribute
from kapok.computations.query.intervals import read_intervals
from kapok.computations.query.params import OPERATIONS, Question
from kapok.computations.query.search import advance
from kapok.computations.query.tallies import contribute_thresholds
from kapok.computations.registry import Computation, Steps

__all__ = ["COMPUTATION"]

COMPUTATION: Final = Computation(
    name="query",
    operations=OPERATIONS,
    functions=tuple(sorted(FUNCTIONS)),
    parse=Question.parse,
    contribute=contribute,
    answer=answer,
    steps=Steps(read_intervals, contribute_thresholds, advance),
)
