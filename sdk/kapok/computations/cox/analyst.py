"""The analyst's half: from each round's sum to the next coefficients, or to the fit.

sum at β ─▶ likelihood lower than before, or weights out of range? ─▶ half the step back
─▶ the next step moves nothing by a hundred-millionth of its standard error? ─▶ the fit
─▶ β + (I + λ)⁻¹ (U - λβ), bent (`solving.bent`) ─▶ the next round's parameters
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from kapok.computations.cox.coefficients import Coefficients, encode
from kapok.computations.cox.report import fitted, without_fit
from kapok.computations.design.flags import OUTSIDE, broken_rules, impossible
from kapok.computations.design.solving import bent, dependent_columns, levels_of_nobody, set_aside, solved
from kapok.computations.registry import Next
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.columns import Floats
    from kapok.computations.reports import Reported
    from kapok.documents.dataset import Dataset

__all__ = ["Likelihood", "advance"]

_TOLERANCE: Final = 1e-8
_STALLED: Final = 1e-5
_WORSE: Final = 1e-12
_MOST_HALVINGS: Final = 12
_ENDLESS: Final = 4
"""How many steps in a row must have gone on without getting shorter before columns are said to separate."""


class _Kept(msgspec.Struct, frozen=True):
    """What the analyst keeps between two rounds.

    Attributes:
        number: Of the round to come.
        at: Coefficients that it looks at.
        before: Those of the best round before.
        likelihood: There, with the penalty.
        null: The likelihood where no column has an effect.
        halvings: How often in a row the way back was halved.
        steps: For each step how far it went.
        decrement: By how many standard errors the last step moved.
        absent: Columns of levels that no row has: their coefficients stay where they are, at 0.
        score: At `before`, with the penalty; empty before there is any.
    """

    number: int
    at: list[float]
    before: list[float]
    likelihood: float
    null: float
    halvings: int = 0
    steps: list[float] = []
    decrement: float = 1e300
    absent: list[int] = []
    score: list[float] = []


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The partial likelihood of Breslow at some coefficients.

    Attributes:
        used, dropped, events: Rows.
        value: Its logarithm.
        score: Its slope, shape (columns,).
        information: Its curvature, shape (columns, columns).
        hazard: The baseline's increments, shape (times,), of a row of standardised columns that are zero.
        absent: Columns of levels that no row has.
    """

    used: int
    dropped: int
    events: int
    value: float
    score: Floats
    information: Floats
    hazard: Floats
    absent: list[int]


def advance(model: Hazards, _dataset: Dataset, state: bytes | None, words: Sequence[int]) -> Next | Reported:
    """Take a round's sum into account.

    Args:
        model: As asked.
        state: What the last call gave; None after the first round.
        words: `model.words` signed integers.

    Returns:
        The next round's parameters, or the fit, or why there is none.

    Raises:
        PeerProtocolError: ``impossible_sum`` when no holders within the schema can have sent such words.
    """
    kept = None if state is None else msgspec.json.decode(state, type=_Kept)
    number = 1 if kept is None else kept.number
    if broken := broken_rules(model, model.layout.flags, words):
        if OUTSIDE in broken and kept is not None and (back := _back(model, kept)) is not None:
            return back
        return without_fit(model, "suppressed", broken, number, None)
    at = np.zeros(len(model.names)) if kept is None else np.array(kept.at)
    sums = _read(model, words, at)
    if kept is None:
        if refused := _cannot(model, sums):
            return without_fit(model, *refused, 1, sums)
        nothing = [0.0] * len(at)
        kept = _Kept(1, nothing, nothing, -np.inf, sums.value, absent=sums.absent)
    return _Step(model, sums, kept).next()


class _Step:
    """One round's way on."""

    def __init__(self, model: Hazards, sums: Likelihood, kept: _Kept) -> None:
        self._model, self._sums, self._kept = model, sums, kept
        self._at = np.array(kept.at)
        penalty = model.ridge / model.design.half**2
        self._information, score = set_aside(
            sums.information + np.diag(penalty), sums.score - penalty * self._at, kept.absent
        )
        self._score = score
        self._move = solved(self._information, score)
        self._decrement = max(0.0, float(score @ self._move)) ** 0.5
        if kept.score and not kept.halvings:
            last = self._at - np.array(kept.before)
            self._move = bent(self._information, self._move, last, np.array(kept.score))
        self._objective = sums.value - float(penalty @ self._at**2) / 2

    def next(self) -> Next | Reported:
        """The next round, or the fit."""
        kept = self._kept
        worst = not np.isfinite(self._objective)
        worse = self._objective < kept.likelihood - _WORSE * (abs(kept.likelihood) + 1)
        if (worst or worse) and (back := _back(self._model, kept)) is not None:
            return back
        stalled = self._decrement < _STALLED and self._decrement > kept.decrement / 2
        if not worst and (self._decrement <= _TOLERANCE or stalled):
            return self._fit("complete", ())
        steps = [*kept.steps, float(np.abs(self._move).max())]
        if endless := self._endless(steps):
            return self._fit("separated", endless)
        if kept.number == self._model.rounds:
            return self._fit("not_converged", ())
        at = (self._at + self._move).tolist()
        went = (0, steps, self._decrement, kept.absent, self._score.tolist())
        return _on(_Kept(kept.number + 1, at, kept.at, self._objective, kept.null, *went))

    def _endless(self, steps: list[float]) -> tuple[str, ...]:
        """The columns whose coefficients go on and on, while the likelihood hardly rises any more."""
        last = steps[-_ENDLESS:]
        rises = self._objective - self._kept.likelihood
        if (
            self._model.ridge
            or len(last) < _ENDLESS
            or min(last) < 0.2
            or any(later < 0.7 * earlier for earlier, later in pairwise(last))
            or rises > 1e-2 * max(1.0, abs(self._kept.null))
        ):
            return ()
        far = np.abs(self._move) > 0.02 * last[-1]
        return tuple(name for name, is_far in zip(self._model.names, far, strict=True) if is_far)

    def _fit(self, status: str, columns: tuple[str, ...]) -> Reported:
        at = self._at + self._move if status == "complete" else self._at
        covariance = solved(self._information, np.eye(len(at)))
        kept = self._kept
        sums = replace(self._sums, absent=kept.absent)
        return fitted(self._model, status, columns, kept.number, at, covariance, kept.null, sums)


def _back(model: Hazards, kept: _Kept) -> Next | None:
    """Half the way back to where it was better; None where that was tried often enough, or rounds end."""
    if kept.halvings == _MOST_HALVINGS or kept.number == model.rounds:
        return None
    at = [(here + there) / 2 for here, there in zip(kept.at, kept.before, strict=True)]
    return _on(msgspec.structs.replace(kept, number=kept.number + 1, at=at, halvings=kept.halvings + 1))


def _on(kept: _Kept) -> Next:
    return Next(encode(Coefficients(np.array(kept.at))), msgspec.json.encode(kept))


def _cannot(model: Hazards, sums: Likelihood) -> tuple[str, tuple[str, ...]] | None:
    """Why there is no fit, whatever the coefficients."""
    if not sums.events:
        return "no_events", ()
    if model.ridge:
        return None
    if sums.events <= len(model.names) - len(sums.absent):
        return "too_few_rows", ()
    if dependent := dependent_columns(set_aside(sums.information, sums.score, sums.absent)[0]):
        return "dependent_columns", tuple(model.names[place] for place in dependent)
    return None


def _read(model: Hazards, words: Sequence[int], at: Floats) -> Likelihood:
    layout = model.layout
    many, columns = layout.times + 1, layout.columns
    start = len(layout.flags)
    used, dropped, *counted = words[start : start + layout.counts]
    rest = words[start + layout.counts :]
    most = MOST_MEMBERS * model.scale.bound
    if min(used, dropped, *counted) < 0 or any(abs(word) > most for word in rest):
        raise impossible("a word is larger than the holders' rows can make it")
    leaving, events = np.array(counted[:many], dtype=float), np.array(counted[many:], dtype=float)
    if leaving.sum() != used or np.any(events > leaving):
        raise impossible("its counts do not fit together")
    values = np.array([model.scale.value(word) for word in rest])
    happened = values[:columns]
    upper = np.triu_indices(columns + 1)
    products = np.zeros((many, columns + 1, columns + 1))
    products[:, *upper] = values[columns:].reshape(many, layout.width)
    # All who leave at a time or later are at risk then.
    at_risk = np.cumsum(products[::-1], axis=0)[::-1]
    kept = np.flatnonzero(events)
    total = at_risk[kept, 0, 0]
    if np.any(total <= 0):
        raise impossible("somebody has the event whom nobody watches")
    means = at_risk[kept, 0, 1:] / total[:, None]
    seconds = np.triu(at_risk[kept][:, 1:, 1:]) + np.swapaxes(np.triu(at_risk[kept][:, 1:, 1:], 1), 1, 2)
    spread = seconds / total[:, None, None] - means[:, :, None] * means[:, None, :]
    hazard = np.zeros(many)
    hazard[kept] = events[kept] / total
    return Likelihood(
        used,
        dropped,
        int(events.sum()),
        float(happened @ at - events[kept] @ np.log(total)),
        happened - events[kept] @ means,
        np.einsum("j,jab->ab", events[kept], spread),
        hazard[:-1],
        levels_of_nobody(model.design, at_risk[0, 0, 0], at_risk[0, 0, 1:], np.diag(at_risk[0])[1:]),
    )
