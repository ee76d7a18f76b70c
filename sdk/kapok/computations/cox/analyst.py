"""The analyst's half: from each round's sum to the next coefficients, or to the fit.

Newton's method, as `kapok.computations.design.newton` has it: what each step must raise is the partial
likelihood, less the penalty. Weights out of range are stepped back from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from kapok.computations.cox.likelihood import Likelihood, read_likelihood
from kapok.computations.cox.report import fitted, without_fit
from kapok.computations.design.flags import OUTSIDE, broken_rules
from kapok.computations.design.newton import (
    TOLERANCE,
    Estimate,
    Kept,
    Objective,
    Step,
    half_the_step_back,
    unfittable,
)
from kapok.computations.registry import Next

if TYPE_CHECKING:
    from kapok.computations.cox.params import Hazards
    from kapok.computations.reports import Reported
    from kapok.documents.dataset import Dataset

__all__ = ["advance"]

_ROUNDING: Final = 1e-12


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
    sums = read_likelihood(model, words, at)
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
