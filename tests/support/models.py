"""Models over several holders without the masks: sums as they would be opened, and the pooled rows beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from kapok.computations.engines import ModelLimits, Thresholds
from kapok.computations.registry import Next, computation
from kapok.documents.dataset import Dataset
from support.several_rounds import summed

LAX = Thresholds(1, 1, models=ModelLimits(100, 100))
"""Of holders who hide nothing: what is tested then is arithmetic."""


class FrameEngine:
    """One holder's rows in DuckDB, under the name ``source``."""

    dialect = "duckdb"

    def __init__(self, frame: pd.DataFrame, *, batch: int = 1000) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.register("frame", frame)
        self.connection.execute("CREATE TABLE source AS SELECT * FROM frame")
        self.connection.unregister("frame")
        self.batch = batch

    def fetch(self, select_sql: str) -> Sequence[tuple[Any, ...]]:
        return self.connection.execute(select_sql).fetchall()

    def batches(self, select_sql: str) -> Iterator[Any]:
        yield from self.connection.sql(select_sql).to_arrow_reader(self.batch)


@dataclass
class Outcome:
    """An answer with what people are shown of it; stands where a client's result would."""

    answer: Any
    dataset: str = "data"
    job_id: str = "0" * 64
    parties: tuple[Any, ...] = ()

    def to_arrow(self) -> Any:
        return self.answer.to_arrow()


def split(frame: pd.DataFrame, holders: int = 3) -> list[FrameEngine]:
    """The rows dealt out to holders, unevenly."""
    places = np.minimum((np.arange(len(frame)) * 3) % (holders + 2), holders - 1)
    return [FrameEngine(frame[places == place]) for place in range(holders)]


def run(
    kind: str,
    text: str,
    dataset: Dataset,
    engines: Sequence[Any],
    thresholds: Thresholds = LAX,
    *,
    note: Callable[[str, str], None] = lambda _what, _why: None,
    rounds: list[Any] | None = None,
) -> Any:
    """Every round of a question; parameters and words are read from the bytes that travel.

    Args:
        kind: Of the computation.
        text: The question.
        dataset: Its schema.
        engines: One for each holder.
        thresholds: Of every holder.
        note: Hears what was suppressed.
        rounds: Takes the parameters of each later round.
    """
    known = computation(kind)
    question = known.parse(text, dataset)
    assert question.text == text
    sums = summed(known.contribute(question, dataset, engine, thresholds, note) for engine in engines)
    if question.rounds == 1:
        return known.answer(question, dataset, sums)
    steps, state = known.go_on(), None
    for _ in range(question.rounds):
        outcome = steps.advance(question, dataset, state, sums)
        if not isinstance(outcome, Next):
            return outcome
        parameters = steps.read(question, dataset, outcome.parameters)
        if rounds is not None:
            rounds.append(parameters)
        state = outcome.state
        sums = summed(
            steps.contribute(question, dataset, parameters, engine, thresholds, note) for engine in engines
        )
    raise AssertionError("more rounds than the question takes")


def fit(
    formula: str,
    dataset: Dataset,
    engines: Sequence[Any],
    thresholds: Thresholds = LAX,
    *,
    note: Callable[[str, str], None] = lambda _what, _why: None,
    **how: Any,
) -> Any:
    """A generalised linear model's `Fit`, from its formula."""
    from kapok.computations.glm.fit import Fit
    from kapok.computations.glm.formula import model_text

    return Fit(
        Outcome(run("glm", model_text(formula, dataset, **how), dataset, engines, thresholds, note=note))
    )


def close(mine: float | Mapping[str, float], theirs: Any, relative: float = 1e-8) -> None:
    """That numbers agree to so many parts of the larger."""
    here = np.array(list(mine.values()) if isinstance(mine, Mapping) else mine, dtype=float)
    there = np.asarray(theirs, dtype=float)
    np.testing.assert_allclose(here, there, rtol=relative, atol=0)
