"""The holder's half: one look at its rows for the sums, a second for what they would show of single rows.

What is too few to show leaves as random words:

    few_rows         at least min_rows complete rows, and twice min_cell
    interval         of the rows that leave in an interval none or at least min_cell have the event, and none
                     or as many have not; none is too few where the question makes time or event up, unless
                     the schema shows empty cells. The columns are parameters_percent of them at most, and
                     none of them has more than leverage_percent of the interval's information in any
                     direction, weighted by exp(xβ)
                     stops sums over few rows, an event that marks persons or asks whether there are any, and
                     coefficients that choose one
    nearly_constant  as for every model (`kapok.computations.design.guards`)
    few_events       the same among the rows that have the event
                     stops a column whose few events would be told by Σ_events x

Differences of the sums over those at risk are sums over an interval, so each interval is looked at as a model
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kapok.computations.cox.coefficients import Coefficients
from kapok.computations.cox.params import LARGEST, RULES, Hazards
from kapok.computations.design.contribution import contributed
from kapok.computations.design.guards import Shares, Watch, exceeds
from kapok.computations.design.rows import Blocks, Kept
from kapok.computations.design.sums import Total
from kapok.computations.engines import Engine, Note, Thresholds, unheard
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

if TYPE_CHECKING:
    import numpy.typing as npt

    from kapok.computations.design.columns import Floats

__all__ = ["contribute", "contribute_at"]


def contribute(
    model: Hazards, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    """This holder's words of the first round, where no column has an effect.

    See `kapok.computations.design.contribution`.
    """
    nothing = Coefficients(np.zeros(len(model.names)))
    return contribute_at(model, dataset, nothing, engine, thresholds, note)


def contribute_at(
    model: Hazards,
    dataset: Dataset,
    coefficients: Coefficients,
    engine: Engine,
    thresholds: Thresholds,
    note: Note = unheard,
) -> WordVector:
    """This holder's words of a later round, at these coefficients."""
    return contributed(model, dataset, engine, _Look(model, coefficients, thresholds, dataset).words, note)


@dataclass(slots=True)
class _Block:
    """Some rows, all arrays of one length.

    Attributes:
        matrix: Standardised, shape (rows, columns).
        watched: Its columns in the schema's units, and the conditions inside of expressions.
        interval: In which interval each row leaves.
        event: Whether it leaves with the event, within the grid.
        weights: exp(xβ).
        outside: Whether one of these was too large.
    """

    matrix: Floats
    watched: list[Floats]
    interval: npt.NDArray[np.intp]
    event: npt.NDArray[np.bool_]
    weights: Floats
    outside: bool

    @property
    def second(self) -> tuple[Any, ...]:
        """What the second look is at, as `_parts` takes it."""
        return self.interval, self.matrix, self.weights


def _parts(
    interval: npt.NDArray[np.intp], matrix: Floats, weights: Floats
) -> Iterator[tuple[int, Floats, Floats]]:
    """For each interval that rows leave in: its place, matrix after a column of ones, and weights."""
    order = np.argsort(interval, kind="stable")
    places, starts = np.unique(interval[order], return_index=True)
    for place, rows in zip(places, np.split(order, starts[1:]), strict=True):
        yield int(place), np.column_stack([np.ones(len(rows)), matrix[rows]]), weights[rows]


class _Look:
    """One round at one holder."""

    def __init__(self, model: Hazards, at: Coefficients, thresholds: Thresholds, dataset: Dataset) -> None:
        self._model, self._at, self._thresholds = model, at, thresholds
        self._times = np.array(model.times)
        made_up = not all(model.sources[place].bare for place in (model.time, model.event))
        self._few = range(0 if made_up and dataset.empty_cells == "hide" else 1, thresholds.min_cell)
        columns = model.design.columns
        indicator = [column.indicator for column in columns]
        chosen = [model.sources[place].bare for place in model.choices]
        self._watch = Watch(
            [*(column.bare for column in columns), *chosen],
            [*indicator, *(True for _ in chosen)],
            thresholds.min_cell,
        )
        self._watch_events = Watch([True] * len(columns), indicator, thresholds.min_cell)

    def words(self, rows: Blocks) -> tuple[list[int], list[bool]]:
        """The words after the flags, and for each flag whether its rule is broken."""
        many, columns = len(self._times) + 1, len(self._model.names)
        blocks = Kept(lambda: (self._block(values) for values in rows), lambda block: block.second)
        products, happened = Total((many, columns + 1, columns + 1)), Total(columns)
        left, events = np.zeros(many, dtype=np.int64), np.zeros(many, dtype=np.int64)
        plain, outside = Total((many, columns + 1, columns + 1)), False
        for block in blocks.first():
            found, counted = np.zeros((2, many, columns + 1, columns + 1))
            for place, matrix, weights in _parts(*block.second):
                found[place] = matrix.T @ (matrix * weights[:, None])
                counted[place] = matrix.T @ matrix
            products.add(found)
            plain.add(counted)
            happened.add(block.matrix[block.event].sum(axis=0))
            left += np.bincount(block.interval, minlength=many)
            events += np.bincount(block.interval[block.event], minlength=many)
            outside |= block.outside
            self._watch.look(block.watched)
            if block.event.any():
                self._watch_events.look([column[block.event] for column in block.watched[:columns]])
        used, dropped = int(left.sum()), rows.dropped
        leverage = [] if outside else self._leverage((products.value, plain.value), blocks)
        broken = self._broken(left, events, leverage, outside)
        broken += rows.few(self._thresholds.min_cell)
        upper = np.triu_indices(columns + 1)
        sums = np.concatenate([happened.value, products.value[:, *upper].ravel()])
        counts = [used, dropped, *left.tolist(), *events.tolist()]
        return [*counts, *self._model.scale.words(sums.tolist())], broken

    @staticmethod
    def _leverage(information: tuple[Floats, Floats], blocks: Kept[_Block, tuple[Any, ...]]) -> list[float]:
        """For each interval the largest of a row: as the round weights it, and as it is."""
        weighted, plain = ([Shares(one) for one in sums] for sums in information)
        if any(one.blurred for one in (*weighted, *plain)):
            for part in blocks.again():
                for place, matrix, weights in _parts(*part):
                    weighted[place].sharpen(matrix, weights)
                    plain[place].sharpen(matrix, np.ones_like(weights))
        for part in blocks.again():
            for place, matrix, weights in _parts(*part):
                weighted[place].look(matrix, weights)
                plain[place].look(matrix, np.ones_like(weights))
        return [max(one.largest, other.largest) for one, other in zip(weighted, plain, strict=True)]

    def _broken(
        self,
        left: npt.NDArray[np.int64],
        events: npt.NDArray[np.int64],
        leverage: list[float],
        outside: bool,
    ) -> list[bool]:
        """For each flag but that of WHERE whether its rule is broken.

        Where a weight was too large nothing of the round is told, and it is stepped back from.
        """
        least, limits = self._thresholds, self._thresholds.models
        used, columns = int(left.sum()), len(self._model.names)
        watched = self._watch.few.tolist()
        if used < max(least.min_rows, 2 * least.min_cell, 1):
            others = len(self._times) + 1 + len(watched) + columns
            return [False, True] + [False] * (len(RULES) - 2 + others)
        latest = self._model.sources[self._model.time].bounds.high
        possible = [True] * len(self._times) + [latest > self._times[-1]]
        counted = zip(possible, left.tolist(), events.tolist(), leverage or [0.0] * len(left), strict=True)
        few = [
            bool(
                (possible and (gone in self._few or gone - happened in self._few))
                or (place < len(self._times) and happened in self._few)
                or (gone and columns * 100 > limits.parameters_percent * gone)
                or exceeds(min(1.0, share), limits.leverage_percent, 1.0)
            )
            for place, (possible, gone, happened, share) in enumerate(counted)
        ]
        events_few = self._watch_events.few.tolist()
        return [False, False, outside, *few, *watched[:columns], *events_few, *watched[columns:]]

    def _block(self, values: Sequence[Floats]) -> _Block:
        model = self._model
        time = values[model.time]
        raw = model.design.raw(values, len(time))
        matrix = model.design.standardised(raw)
        interval = np.searchsorted(self._times, time, side="left")
        event = (values[model.event] != 0) & (interval < len(self._times))
        risk = matrix @ self._at.columns
        most = np.log(LARGEST)
        outside = bool(np.any(np.abs(risk) > most))
        watched = [*raw.T, *(values[place] for place in model.choices)]
        return _Block(matrix, watched, interval, event, np.exp(np.clip(risk, -most, most)), outside)
