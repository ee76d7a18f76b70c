"""The holder's half: one look at its rows for the sums, a second for what they would show of single rows.

round 1     each row's own start: μ from its response alone, as if β = 0 had led there
later       μ at the analyst's coefficients
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapok.computations.design.contribution import contributed
from kapok.computations.design.guards import Distances, Shares, Watch, exceeds
from kapok.computations.design.rows import Blocks, Kept
from kapok.computations.design.sums import Total
from kapok.computations.engines import Engine, Note, Thresholds, unheard
from kapok.computations.glm.coefficients import Coefficients
from kapok.computations.glm.params import RULES, Model
from kapok.documents.dataset import Dataset
from kapok.protocols.words import WordVector

if TYPE_CHECKING:
    from typing import TypeAlias

    from kapok.computations.design.columns import Floats

    _Second: TypeAlias = tuple[Floats, Floats, Floats, Floats]

__all__ = ["contribute", "contribute_at"]


def contribute(
    model: Model, dataset: Dataset, engine: Engine, thresholds: Thresholds, note: Note = unheard
) -> WordVector:
    """This holder's words of the first round. See `kapok.computations.design.contribution`."""
    return contributed(model, dataset, engine, _Look(model, None, thresholds).words, note)


def contribute_at(
    model: Model,
    dataset: Dataset,
    coefficients: Coefficients,
    engine: Engine,
    thresholds: Thresholds,
    note: Note = unheard,
) -> WordVector:
    """This holder's words of a later round, at these coefficients."""
    return contributed(model, dataset, engine, _Look(model, coefficients, thresholds).words, note)


@dataclass(slots=True)
class _Block:
    """Some rows, all arrays of one length.

    Attributes:
        matrix: Standardised, shape (rows, columns).
        watched: The matrix's columns without the intercept, response, offset and weights, all in the schema's
            units, and the conditions inside of them.
        response: y.
        prior: w.
        means: μ of model and constant.
        information: ω.
        score: r.
        null: ω and r of the model of a constant alone.
        deviance: Of model and constant.
        pearson: (y - μ)² w / V(μ); 0 where no dispersion is estimated, and nobody needs it.
        saturated: What the likelihood of an exact fit is.
        outside: Whether there are rows to whose coefficients no mean belongs.
    """

    matrix: Floats
    watched: list[Floats]
    response: Floats
    prior: Floats
    means: tuple[Floats, Floats]
    information: Floats
    score: Floats
    null: tuple[Floats, Floats]
    deviance: tuple[Floats, Floats]
    pearson: Floats
    saturated: Floats
    outside: bool

    @property
    def counts(self) -> Floats:
        """1 for each row that has a weight, and 0 for the others."""
        return (self.prior > 0).astype(np.float64)

    @property
    def second(self) -> _Second:
        """What the second look is at: matrix, ω, whether it counts, and y."""
        return self.matrix, self.information, self.counts, self.response


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
        self._counted = [Distances() for _ in range(6)]
        self._squared = [Distances() for _ in range(3)]
        self._middles: list[float] = []

    def _single_sources(self) -> list[int]:
        found = (self._model.response, self._model.offset, self._model.weights)
        return [*(place for place in found if place is not None), *self._model.choices]

    def words(self, rows: Blocks) -> tuple[list[int], list[bool]]:
        """The words after the flags, and for each flag whether its rule is broken."""
        model, columns = self._model, len(self._model.design.columns)
        blocks = Kept(lambda: (self._block(values) for values in rows), lambda block: block.second)
        information, plain, score = (
            Total(shape) for shape in ((columns, columns), (columns, columns), columns)
        )
        single, used, outside = Total(7), 0, False
        for block in blocks.first():
            information.add(block.matrix.T @ (block.matrix * block.information[:, None]))
            plain.add(block.matrix.T @ (block.matrix * block.counts[:, None]))
            score.add(block.score @ block.matrix)
            single.add(np.array([found.sum() for found in self._singles(block)]))
            self._look(block)
            used += int(np.count_nonzero(block.counts))
            outside |= block.outside
        broken = self._broken(used, outside, (information.value, plain.value), blocks)
        broken += rows.few(self._thresholds.min_cell)
        upper = information.value[np.triu_indices(columns)]
        sums = np.concatenate([upper, score.value, single.value])
        return [used, rows.dropped, *model.scale.words(sums.tolist())], broken

    @property
    def _constants(self) -> int:
        return int(self._model.design.intercept is not None)

    @staticmethod
    def _singles(block: _Block) -> tuple[Floats, ...]:
        return (*block.null, *block.deviance, block.pearson, block.saturated, block.prior)

    def _look(self, block: _Block) -> None:
        """At what each row adds to a sum: nothing is told of which one row has most."""
        self._watch.look(block.watched)
        if not self._middles and self._at is not None:
            # Those of the start follow from the responses. If few have another, the middle one is most's.
            self._middles = [float(np.median(means)) for means in block.means]
        apart = (means - middle for means, middle in zip(block.means, self._middles, strict=False))
        counted = (block.information, block.null[0], block.score, block.null[1], *apart)
        for distances, found in zip(self._counted, counted, strict=False):
            distances.look(np.abs(found))
        for distances, found in zip(self._squared, (*block.deviance, block.pearson), strict=True):
            distances.look(np.abs(found))

    def _broken(
        self, used: int, outside: bool, information: tuple[Floats, Floats], blocks: Kept[_Block, _Second]
    ) -> list[bool]:
        """For each flag but that of WHERE whether its rule is broken."""
        least, limits = self._thresholds, self._thresholds.models
        columns = len(self._model.design.columns)
        if used < max(least.min_rows, 2 * least.min_cell, 1):
            return [False, True] + [False] * (len(RULES) - 2 + len(self._model.watched))
        leverage = dominance = False
        if not outside:
            # Else nothing of this round is told, and it is stepped back from.
            percent, few = limits.leverage_percent, least.min_cell
            counted = [one.dominated(percent, few) for one in (*self._counted, self._responses(blocks))]
            leverage = any(counted[:2]) or exceeds(self._leverage(information, blocks), percent, 1.0)
            dominance = any(counted[2:]) or any(one.dominated(percent, 1) for one in self._squared)
        few_rows = columns * 100 > limits.parameters_percent * used
        return [False, False, few_rows, leverage, dominance, outside, *self._watch.few.tolist()]

    @staticmethod
    def _leverage(information: tuple[Floats, Floats], blocks: Kept[_Block, _Second]) -> float:
        """The largest of a row: as the round weights it, and as it is."""
        shares = [Shares(one) for one in information]
        if any(one.blurred for one in shares):
            for matrix, weights, counts, _ in blocks.again():
                shares[0].sharpen(matrix, weights)
                shares[1].sharpen(matrix, counts)
        for matrix, weights, counts, _ in blocks.again():
            shares[0].look(matrix, weights)
            shares[1].look(matrix, counts)
        return max(one.largest for one in shares)

    def _responses(self, blocks: Kept[_Block, _Second]) -> Distances:
        """How far each response is from the commonest one.

        Of two values one is the distance of none: that there are few of the other is what `Watch` sees.
        """
        found = Distances()
        if not self._model.sources[self._model.response].indicator:
            commonest = self._watch.commonest[len(self._model.design.columns) - self._constants]
            for *_, response in blocks.again():
                found.look(np.abs(response - commonest))
        return found

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
            (means, null_means),
            information,
            self._within(score + information * moves),
            (null[0], self._within(null[1] + null[0] * moves)),
            (self._deviance(response, means, prior), self._deviance(response, null_means, prior)),
            self._pearson(response, means, prior),
            self._saturated(response, prior),
            outside or null_outside,
        )

    def _start(self, response: Floats, prior: Floats) -> Floats:
        start = self._model.family.start(response, prior)
        if self._model.family.name == "gaussian" and self._model.link.name != "identity":
            # A mean must be above zero there, and a response need not be.
            largest = self._model.sources[self._model.response].bounds.largest
            return np.maximum(start, largest / 1000)
        return start

    def _mean(self, eta: Floats) -> tuple[Floats, bool]:
        family, mean = self._model.family, self._model.link.inverse(eta)
        fits = self._model.link.fits(eta) & (mean >= family.low) & (mean <= family.high)
        return family.kept(mean), not fits.all()

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

    def _pearson(self, response: Floats, mean: Floats, prior: Floats) -> Floats:
        family = self._model.family
        if not family.estimated:
            # One row whose response the model thinks impossible would stand out of it, to the digit.
            return np.zeros_like(mean)
        return self._within(prior * (response - mean) ** 2 / family.variance(mean, self._model.dispersion))

    def _saturated(self, response: Floats, prior: Floats) -> Floats:
        if self._model.family.name == "gaussian":
            return np.log(np.where(prior > 0, prior, 1.0)) / 2
        return self._within(prior * self._model.family.saturated(response, self._model.dispersion))

    def _within(self, values: Floats) -> Floats:
        """No row adds more than the words were made for; coefficients that lead there are not the last."""
        return np.clip(values, -self._model.largest, self._model.largest)
