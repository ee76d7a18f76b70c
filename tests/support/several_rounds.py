"""A question of several rounds over several holders, without the masks: sums as they would be opened."""

from collections.abc import Callable, Iterable
from typing import Any

from kapok.computations.engines import Thresholds
from kapok.computations.query.analyst import Answer
from kapok.computations.query.params import Question
from kapok.computations.query.reading import read_question
from kapok.computations.registry import Next, computation
from kapok.documents.dataset import Dataset

Sums = list[int]


def summed(contributions: Iterable[Any]) -> Sums:
    """The sum of some holders' words, each read as the analyst reads it."""
    return [sum(column) for column in zip(*(one.to_integers() for one in contributions), strict=True)]


def ask(
    sql: str,
    dataset: Dataset,
    engines: Iterable[Any],
    thresholds: Thresholds,
    *,
    between: Callable[[int, Sums], None] = lambda _number, _sums: None,
) -> Answer:
    """Every round of a question; each round's parameters are read from the bytes that travel.

    Args:
        sql: The question.
        dataset: Its schema.
        engines: One for each holder.
        thresholds: Of every holder.
        between: Told each round's number and sum.
    """
    kind, holders = computation("query"), list(engines)
    question: Question = read_question(sql, dataset)
    state, number = None, 1
    sums = summed(kind.contribute(question, dataset, engine, thresholds, _unheard) for engine in holders)
    if question.rounds == 1:
        return kind.answer(question, dataset, sums)
    steps = kind.go_on()
    while True:
        between(number, sums)
        outcome = steps.advance(question, dataset, state, sums)
        if not isinstance(outcome, Next):
            assert number == question.rounds
            return outcome
        parameters = steps.read(question, dataset, outcome.parameters)
        state, number = outcome.state, number + 1
        sums = summed(
            steps.contribute(question, dataset, parameters, engine, thresholds, _unheard)
            for engine in holders
        )


def _unheard(_measure: str, _why: str) -> None:
    return None
