"""The holder's half: one look at its rows for the sums, a second for what they would show of single rows.

    round 1     each row's own start: μ from its response alone, as if β = 0 had led there
    later       μ at the analyst's coefficients

It never fails because of data: whatever goes wrong, and whatever is too few to show, leaves as random words.
Why is said in the holder's own log, and by one flag in the mask (`kapok.computations.design.guards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapok.computations.design.flags import leaving
from kapok.computations.design.guards import Distances, Shares, Watch, exceeds
from kapok.computations.design.rows import Blocks, Kept, engine_sql
from kapok.computations.design.sums import Total
from kapok.computations.engines import Engine, Note, Thresholds, unheard
from kapok.computations.glm.coefficients import Coefficients
from kapok.computations.glm.params import Model
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats

__all__ = ["contribute", "contribute_at"]


def contribute(
    model: Model, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    """This holder's words of the first round.

    Args:
        model: Parsed from the specification by the node itself, over this very dataset.
        dataset: Its schema.
        engine: Knows the holder's table as ``source``.
        thresholds: What the holder's policy asks.
        note: Hears what was suppressed and why, for the holder's own log.

    Returns:
        `model.words` words of `model.word_bits` bits, each at most V in magnitude, or uniform below 2^w.
    """
    return _contribute(model, dataset, None, engine, thresholds, note)


def contribute_at(
    model: Model,
    dataset: Dataset,
    coefficients: Coefficients,
    engine: Engine,
    thresholds: Thresholds,
    note: Note = unheard,
) -> WordVector:
    """This holder's words of a later round, at these coefficients. See `contribute`."""
    return _contribute(model, dataset, coefficients, engine, thresholds, note)


def _contribute(
    model: Model,
    dataset: Dataset,
    at: Coefficients | None,
    engine: Engine,
    thresholds: Thresholds,
    note: Note,
) -> WordVector:
    flags = model.layout.flags
    try:
        select = engine_sql(model.sources, model.columns, dataset, engine.dialect)
        rows = Blocks(engine, select, model.sources, model.where)
        # What is no number shows in the sums, and suppresses them; a warning would say so on the way.
        with np.errstate(all="ignore"):
            words, broken = _Look(model, at, thresholds).words(rows)
    except Exception as error:  # noqa: BLE001  whatever it is, it depends on data: nobody outside may notice
        # The class alone: an engine's message can quote a value.
        note("the model", f"the engine could not answer ({type(error).__name__})")
        words, broken = [], [True] + [False] * (len(flags) - 1)
    return leaving(model, flags, broken, words, note)


@dataclass(slots=True)
class _Block:
    """Some rows, all arrays of one length.

    Attributes:
        matrix: Standardised, shape (rows, columns).
        watched: The matrix's columns without the intercept, response, offset and weights, all in the schema's
            units, and the conditions inside of them.
        response: y.
        prior: w.
        information: ω.
        score: r.
        null: ω and r of the model of a constant alone.
        deviance: Of model and constant.
        pearson: (y - μ)² w / V(μ).
        saturated: What the likelihood of an exact fit is.
        outside: How many rows had coefficients that no mean belongs to.
    """

    matrix: Floats
    watched: list[Floats]
    response: Floats
    prior: Floats
    information: Floats
    score: Floats
    null: tuple[Floats, Floats]
    deviance: tuple[Floats, Floats]
    pearson: Floats
    saturated: Floats
    outside: int

    @property
    def second(self) -> tuple[Floats, Floats, Floats, Floats]:
        """What the second look is at: matrix, ω, r and y."""
        return self.matrix, self.information, self.score, self.response


class _Look:
    """One round at one holder."""

    def __init__(self, model: Model, at: Coefficients | None, thresholds: Thresholds) -> None:
        self._model, self._at, self._thresholds = model, at, thresholds
        columns = [column for column in model.design.columns if column.parts]
        others = [model.sources[place] for place in self._single_sources()]
        self._watch = Watch(
            [column.bare for column in columns] + [source.bare for source in others],
            [column.indicator for column in columns]
            + [source.term.two_values is not None for source in others],
            thresholds.min_cell,
        )

    def _single_sources(self) -> list[int]:
        found = (self._model.response, self._model.offset, self._model.weights)
        return [*(place for place in found if place is not None), *self._model.choices]

    def words(self, rows: Blocks) -> tuple[list[int], list[bool]]:
        """The words after the flags, and for each flag whether its rule is broken."""
        model, columns = self._model, len(self._model.design.columns)
        blocks = Kept(lambda: (self._block(values) for values in rows), lambda block: block.second)
        information, score, single = Total((columns, columns)), Total(columns), Total(7)
        used = outside = 0
        for block in blocks.first():
            weighted = block.matrix * block.information[:, None]
            information.add(block.matrix.T @ weighted)
            score.add(block.score @ block.matrix)
            single.add(np.array([found.sum() for found in self._singles(block)]))
            self._watch.look(block.watched)
            used += int(np.count_nonzero(block.prior))
            outside += block.outside
        dropped = rows.dropped
        broken = self._broken(used, information.value, blocks, rows.few(self._thresholds.min_cell))
        upper = information.value[np.triu_indices(columns)]
        found = np.concatenate([upper, score.value, single.value])
        return [used, dropped, outside, *model.scale.words(found.tolist())], broken

    @property
    def _constants(self) -> int:
        return int(self._model.design.intercept is not None)

    @staticmethod
    def _singles(block: _Block) -> tuple[Floats, ...]:
        return (*block.null, *block.deviance, block.pearson, block.saturated, block.prior)

    def _broken(
        self, used: int, information: Floats, blocks: Kept[_Block, tuple[Floats, ...]], few: bool
    ) -> list[bool]:
        least, limits = self._thresholds, self._thresholds.models
        columns = len(self._model.design.columns)
        if used < max(least.min_rows, 2 * least.min_cell, 1):
            return [False, True] + [False] * (len(self._model.layout.flags) - 2)
        shares, residuals, responses = Shares(information), Distances(), Distances()
        # Of two values one is the distance of none: that there are few of the other is what `Watch` sees.
        has_distances = not self._model.sources[self._model.response].indicator
        commonest = self._watch.commonest[columns - self._constants]
        for matrix, weights, score, response in blocks.again():
            shares.look(matrix, weights)
            residuals.look(np.abs(score))
            if has_distances:
                responses.look(np.abs(response - commonest))
        percent = limits.leverage_percent
        return [
            False,
            False,
            columns * 100 > limits.parameters_percent * used,
            exceeds(shares.largest, percent, 1.0),
            responses.dominated(percent, least.min_cell) or residuals.dominated(percent, least.min_cell),
            *self._watch.few.tolist(),
            *([] if self._model.where is None else [few]),
        ]

    def _block(self, values: Sequence[Floats]) -> _Block:
        model, at = self._model, self._at
        response = values[model.response]
        raw = model.design.raw(values, len(response))
        prior = np.ones_like(response) if model.weights is None else values[model.weights]
        offset = np.zeros_like(response) if model.offset is None else values[model.offset]
        matrix = model.design.standardised(raw)
        if at is None:
            eta = model.link.of(model.family.kept(self._start(response, prior)))
            moves, null_eta = eta - offset, eta
        else:
            eta, null_eta = matrix @ at.columns + offset, at.null + offset
            moves = np.zeros_like(eta)
        means, outside = self._mean(eta)
        information, score = self._working(eta, means, response, prior)
        null_means, null_outside = self._mean(null_eta)
        null = self._working(null_eta, null_means, response, prior)
        return _Block(
            matrix,
            [*raw.T[self._constants :], *(values[one] for one in self._single_sources())],
            response,
            prior,
            information,
            self._within(score + information * moves),
            (null[0], self._within(null[1] + null[0] * moves)),
            (self._deviance(response, means, prior), self._deviance(response, null_means, prior)),
            self._within(prior * (response - means) ** 2 / model.family.variance(means, model.dispersion)),
            self._saturated(response, prior),
            outside + null_outside,
        )

    def _start(self, response: Floats, prior: Floats) -> Floats:
        start = self._model.family.start(response, prior)
        if self._model.family.name == "gaussian" and self._model.link.name != "identity":
            # A mean must be above zero there, and a response need not be.
            largest = self._model.sources[self._model.response].bounds.largest
            return np.maximum(start, largest / 1000)
        return start

    def _mean(self, eta: Floats) -> tuple[Floats, int]:
        family, mean = self._model.family, self._model.link.inverse(eta)
        fits = self._model.link.fits(eta) & (mean >= family.low) & (mean <= family.high)
        return family.kept(mean), int(np.count_nonzero(~fits))

    def _working(self, eta: Floats, mean: Floats, response: Floats, prior: Floats) -> tuple[Floats, Floats]:
        if self._model.statement.link == self._model.family.canonical:
            # As the general formula, and right where a slope and a variance are both as good as zero.
            variance = self._model.family.variance(mean, self._model.dispersion)
            return self._within(prior * variance), self._within(prior * (response - mean))
        slope = self._model.link.slope(eta)
        spread = prior * slope / self._model.family.variance(mean, self._model.dispersion)
        return self._within(spread * slope), self._within(spread * (response - mean))

    def _deviance(self, response: Floats, mean: Floats, prior: Floats) -> Floats:
        return self._within(prior * self._model.family.deviance(response, mean, self._model.dispersion))

    def _saturated(self, response: Floats, prior: Floats) -> Floats:
        if self._model.family.name == "gaussian":
            return np.log(np.where(prior > 0, prior, 1.0)) / 2
        return self._within(prior * self._model.family.saturated(response, self._model.dispersion))

    def _within(self, values: Floats) -> Floats:
        """No row adds more than the words were made for; coefficients that lead there are not the last."""
        return np.clip(values, -self._model.largest, self._model.largest)
