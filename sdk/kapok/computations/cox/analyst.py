"""The analyst's half: from each round's sum to the next coefficients, or to the fit.

Newton's method, as `kapok.computations.design.newton` has it: what each step must raise is the partial
likelihood, less the penalty. Weights out of range are stepped back from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from kapok.computations.cox.report import fitted, without_fit
from kapok.computations.design.flags import OUTSIDE, broken_rules, impossible
from kapok.computations.design.newton import (
    TOLERANCE,
    Estimate,
    Kept,
    Objective,
    Step,
    half_the_step_back,
    unfittable,
)
from kapok.computations.design.solving import levels_of_nobody
from kapok.computations.registry import Next
from kapok.protocols.secure_sum.params import MOST_MEMBERS

if TYPE_CHECKING:
    from kapok.computations.cox.params import Hazards
    from kapok.computations.design.columns import Floats
    from kapok.computations.reports import Reported
    from kapok.documents.dataset import Dataset

__all__ = ["Likelihood", "advance"]

_ROUNDING: Final = 1e-12


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
    kept = None if state is None else msgspec.json.decode(state, type=Kept)
    number = 1 if kept is None else kept.number
    if broken := broken_rules(model, model.layout.flags, words):
        if OUTSIDE in broken and kept and (back := half_the_step_back(model, kept)) is not None:
            return back
        return without_fit(model, "suppressed", broken, number, None)
    at = np.zeros(len(model.names)) if kept is None else np.array(kept.at)
    sums = _read(model, words, at)
    if kept is None:
        if refused := _unfittable(model, sums):
            return without_fit(model, *refused, 1, sums)
        nothing = [0.0] * len(at)
        kept = Kept(1, nothing, nothing, null=-sums.value, absent=sums.absent)
    step = Step(model, kept, sums.information, sums.score)
    objective = Objective(
        value=step.penalty / 2 - sums.value,
        rounding=_ROUNDING,
        whole=kept.null,
        decrement=step.gain**0.5,
        tolerance=TOLERANCE,
        separable=not model.ridge,
    )
    outcome = step.taken(objective)
    return fitted(model, outcome, -kept.null, sums) if isinstance(outcome, Estimate) else outcome


def _unfittable(model: Hazards, sums: Likelihood) -> tuple[str, tuple[str, ...]] | None:
    if not sums.events:
        return "no_events", ()
    return unfittable(model, sums.events, sums.information, sums.absent)


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
