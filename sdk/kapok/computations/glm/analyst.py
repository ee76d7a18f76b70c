"""The analyst's half: from each round's sum to the next coefficients, or to the fit.

    sum at β ─▶ worse than before, or beyond what has a mean? ─▶ half the step back
             ─▶ score as good as zero? ─▶ the fit
             ─▶ β + (XᵀWX + λ)⁻¹ (score - λβ) ─▶ the next round's parameters

With a canonical link XᵀWX is the second derivative, and steps are bent by how it changes (`solving.bent`).

A fit has converged when the next step would move no combination of coefficients by more than 10⁻⁸ √n of its
standard error, and takes that step too: what is left of the score is the square of that, and over a step so
short XᵀWX, whose digits standard errors have, changes by a few 10⁻⁸. What cannot be fitted is named: columns
that others give, columns that separate, too few rows, a rule that a holder's rows break.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from kapok.computations.design.flags import OUTSIDE, broken_rules, impossible
from kapok.computations.design.solving import bent, dependent_columns, levels_of_nobody, set_aside, solved
from kapok.computations.glm.coefficients import Coefficients, encode
from kapok.computations.glm.report import fitted, without_fit
from kapok.computations.registry import Next
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats
    from kapok.computations.glm.params import Model
    from kapok.computations.reports import Reported
    from kapok.documents.dataset import Dataset

__all__ = ["advance"]

_TOLERANCE: Final = 1e-8
_STALLED: Final = 1e-5
_WORSE: Final = 1e-9
_MOST_HALVINGS: Final = 12
_WITHOUT_END: Final = frozenset({"logit", "probit", "cloglog", "log"})
"""Links by which a mean comes ever closer to an end of its range, and η to none."""
_ENDLESS: Final = 4
"""How many steps in a row must have gone on without getting shorter before columns are said to separate."""


class _Kept(msgspec.Struct, frozen=True):
    """What the analyst keeps between two rounds.

    Attributes:
        number: Of the round to come.
        at: Coefficients that it looks at, the null model's first.
        before: Those of the best round before.
        deviance: There, with the penalty; None before there is any.
        halvings: How often in a row the way back was halved.
        steps: For each round how far its step went, in units of η.
        decrement: By how many standard errors the last step moved.
        absent: Columns of levels that no row has: their coefficients stay where they are, at 0.
        score: At `before`, with the penalty; empty before there is any.
    """

    number: int
    at: list[float]
    before: list[float]
    deviance: float | None = None
    halvings: int = 0
    steps: list[float] = []
    decrement: float = 1e300
    absent: list[int] = []
    score: list[float] = []


@dataclass(frozen=True, slots=True)
class Sums:
    """A round's sum, read.

    Attributes:
        broken: What somebody's rows broke; then nothing else means anything.
        used, dropped: Rows.
        information: XᵀWX, shape (columns, columns).
        score: Shape (columns,).
        null_information, null_score: Of the model of a constant alone.
        deviance, null_deviance, pearson, saturated, prior: Sums over rows.
    """

    broken: tuple[str, ...]
    used: int
    dropped: int
    information: Floats
    score: Floats
    null_information: float
    null_score: float
    deviance: float
    null_deviance: float
    pearson: float
    saturated: float
    prior: float


def advance(model: Model, dataset: Dataset, state: bytes | None, words: Sequence[int]) -> Next | Reported:
    """Take a round's sum into account.

    Args:
        model: As asked.
        dataset: Its schema.
        state: What the last call gave; None after the first round.
        words: `model.words` signed integers.

    Returns:
        The next round's parameters, or the fit, or why there is none.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    sums = _read(model, words)
    columns = len(model.design.columns)
    if state is None:
        kept = _Kept(1, [0.0] * (columns + 1), [0.0] * (columns + 1), absent=_absent(model, sums))
    else:
        kept = msgspec.json.decode(state, type=_Kept)
    if OUTSIDE in sums.broken and kept.number > 1 and (back := _back(model, kept)) is not None:
        return back
    if sums.broken:
        return without_fit(model, "suppressed", sums.broken, kept.number, sums.used, sums.dropped)
    if kept.number == 1 and (refused := _cannot(model, sums, kept.absent)):
        return without_fit(model, *refused, 1, sums.used, sums.dropped)
    step = _Step(model, dataset, sums, kept)
    return step.first() if kept.number == 1 else step.next()


class _Step:
    """One round's way on."""

    def __init__(self, model: Model, dataset: Dataset, sums: Sums, kept: _Kept) -> None:
        self._model, self._dataset, self._sums, self._kept = model, dataset, sums, kept
        self._at = np.array(kept.at[1:])
        penalty = model.ridge / model.design.half**2
        if model.design.intercept is not None:
            penalty[model.design.intercept] = 0.0
        self._penalty = penalty
        self._information, score = set_aside(
            sums.information + np.diag(penalty), sums.score - penalty * self._at, kept.absent
        )
        self._score = score
        self._move = solved(self._information, score)
        self._gain = max(0.0, float(score @ self._move))
        canonical = model.statement.link == model.family.canonical
        if canonical and kept.score and not kept.halvings:
            last = self._at - np.array(kept.before[1:])
            self._move = bent(self._information, self._move, last, np.array(kept.score))
        self._null_move = sums.null_score / sums.null_information if sums.null_information > 0 else 0.0

    def first(self) -> Next:
        """After the start, which is each row's own."""
        null = self._kept.at[0] + self._null_move
        # Where the next round finds no mean, the way back leads to the constant alone.
        before = [null] + [0.0] * len(self._at)
        if (place := self._model.design.intercept) is not None:
            before[place + 1] = null
        at = [null, *(self._at + self._move).tolist()]
        return _on(_Kept(2, at, before, absent=self._kept.absent))

    def next(self) -> Next | Reported:
        """After a later round."""
        kept, sums = self._kept, self._sums
        worst = not np.isfinite(self._objective)
        worse = kept.deviance is not None and self._objective > kept.deviance + _WORSE * (
            abs(kept.deviance) + 1
        )
        if worst or worse:
            if kept.number == self._model.rounds:
                return self._fit("not_converged", ())
            if (back := _back(self._model, kept)) is not None:
                return back
        decrement = self._decrement
        done = decrement <= _TOLERANCE * max(1, sums.used) ** 0.5 or (
            decrement < _STALLED and decrement > kept.decrement / 2
        )
        if done and not worst:
            return self._fit("converged", ())
        steps = [*kept.steps, float(np.abs(self._move).max())]
        if endless := self._endless(steps):
            return self._fit("separated", endless)
        if kept.number == self._model.rounds:
            return self._fit("not_converged", ())
        at = [kept.at[0] + self._null_move, *(self._at + self._move).tolist()]
        went = (0, steps, decrement, kept.absent, self._score.tolist())
        return _on(_Kept(kept.number + 1, at, kept.at, self._objective, *went))

    @property
    def _objective(self) -> float:
        """What each step must lower: the deviance, and the penalty."""
        return self._sums.deviance + float(self._penalty @ self._at**2)

    @property
    def _decrement(self) -> float:
        """By how many standard errors the next step would move, of the constant alone too."""
        spread, null_spread = 1.0, 1.0
        if self._model.family.estimated:
            fitted = len(self._at) - len(self._kept.absent)
            spread = max(self._sums.pearson / max(1, self._sums.used - fitted), 1e-300)
            null_spread = max(self._sums.null_deviance / max(1, self._sums.used - 1), 1e-300)
        null = self._null_move * self._sums.null_score
        return float(np.sqrt(max(self._gain / spread, null / null_spread, 0.0)))

    def _endless(self, steps: list[float]) -> tuple[str, ...]:
        """The columns whose coefficients go on and on, while the deviance hardly falls any more."""
        last, kept = steps[-_ENDLESS:], self._kept
        falls = (kept.deviance or 0.0) - self._objective
        if (
            self._model.statement.link not in _WITHOUT_END
            or len(last) < _ENDLESS
            or min(last) < 0.2
            or any(later < 0.7 * earlier for earlier, later in pairwise(last))
            or falls > 1e-2 * max(1.0, abs(self._sums.null_deviance))
        ):
            return ()
        far = np.abs(self._move) > 0.02 * last[-1]
        named = zip(self._model.design.columns, far, strict=True)
        return tuple(column.name for column, is_far in named if is_far)

    def _fit(self, status: str, columns: tuple[str, ...]) -> Reported:
        at = self._at + self._move if status == "converged" else self._at
        kept = self._kept
        covariance = solved(self._information, np.eye(len(at)))
        return fitted(
            self._model, self._dataset, status, columns, kept.number, at, covariance, kept.absent, self._sums
        )


def _back(model: Model, kept: _Kept) -> Next | None:
    """Half the way back to where it was better; None where that was tried often enough, or rounds end."""
    if kept.halvings == _MOST_HALVINGS or kept.number == model.rounds:
        return None
    at = [(here + there) / 2 for here, there in zip(kept.at, kept.before, strict=True)]
    return _on(msgspec.structs.replace(kept, number=kept.number + 1, at=at, halvings=kept.halvings + 1))


def _on(kept: _Kept) -> Next:
    parameters = encode(Coefficients(np.array(kept.at[1:]), kept.at[0]))
    return Next(parameters, msgspec.json.encode(kept))


def _absent(model: Model, sums: Sums) -> list[int]:
    """The columns that are of levels that no row has."""
    constant = model.design.intercept
    information = sums.information
    weight, firsts = (
        (0.0, information[0] * 0.0)
        if constant is None
        else (float(information[constant, constant]), information[constant])
    )
    return levels_of_nobody(model.design, weight, firsts, np.diag(information))


def _cannot(model: Model, sums: Sums, absent: Sequence[int]) -> tuple[str, tuple[str, ...]] | None:
    """Why there is no fit, whatever the coefficients."""
    if model.ridge:
        return None
    if sums.used <= len(model.design.columns) - len(absent):
        return "too_few_rows", ()
    if dependent := dependent_columns(set_aside(sums.information, sums.score, absent)[0]):
        return "dependent_columns", tuple(model.design.columns[place].name for place in dependent)
    return None


def _read(model: Model, words: Sequence[int]) -> Sums:
    layout = model.layout
    if broken := broken_rules(model, layout.flags, words):
        nothing = np.zeros((layout.columns, layout.columns))
        return Sums(broken, 0, 0, nothing, nothing[0], *[0.0] * 7)
    used, dropped, *sums = words[len(layout.flags) :]
    most = MOST_MEMBERS * model.scale.bound
    if min(used, dropped) < 0 or any(abs(word) > most for word in sums):
        raise impossible("a word is larger than the holders' rows can make it")
    values = [model.scale.value(word) for word in sums]
    upper = np.triu_indices(layout.columns)
    information = np.zeros((layout.columns, layout.columns))
    information[upper] = values[: layout.pairs]
    information.T[upper] = values[: layout.pairs]
    score = np.array(values[layout.pairs : layout.pairs + layout.columns])
    return Sums((), used, dropped, information, score, *values[layout.pairs + layout.columns :])
