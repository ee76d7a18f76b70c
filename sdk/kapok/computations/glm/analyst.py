"""The analyst's half: from each round's sum to the next coefficients, or to the fit.

Fisher scoring, as `kapok.computations.design.newton` has it: what each step must lower is the deviance, with
the penalty. With a canonical link XᵀWX is the second derivative, and steps are bent by how it changes.

A step of 10⁻⁸ √n standard errors is as good as none: over one so short XᵀWX, whose digits standard errors
have, changes by a few 10⁻⁸. What cannot be fitted is named: columns that others give, columns that separate,
too few rows, a rule that a holder's rows break.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from kapok.computations.design.flags import OUTSIDE
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
from kapok.computations.glm.report import fitted, without_fit
from kapok.computations.glm.sums import Sums, read_sums
from kapok.computations.registry import Next

if TYPE_CHECKING:
    from kapok.computations.glm.params import Model
    from kapok.computations.reports import Reported
    from kapok.documents.dataset import Dataset

__all__ = ["advance"]

_ROUNDING: Final = 1e-9
_WITHOUT_END: Final = frozenset({"logit", "probit", "cloglog", "log"})
"""Links by which a mean comes ever closer to an end of its range, and η to none."""


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
    sums = read_sums(model, words)
    columns = len(model.design.columns)
    if state is None:
        kept = Kept(1, [0.0] * (columns + 1), [0.0] * (columns + 1), absent=_absent(model, sums))
    else:
        kept = msgspec.json.decode(state, type=Kept)
    if OUTSIDE in sums.broken and kept.number > 1 and (back := half_the_step_back(model, kept)) is not None:
        return back
    if sums.broken:
        return without_fit(model, "suppressed", sums.broken, kept.number, sums.used, sums.dropped)
    if kept.number == 1 and (refused := unfittable(model, sums.used, sums.information, kept.absent)):
        return without_fit(model, *refused, 1, sums.used, sums.dropped)
    canonical = model.statement.link == model.family.canonical
    step = Step(model, kept, sums.information, sums.score, free=model.design.intercept, exact=canonical)
    null_move = sums.null_score / sums.null_information if sums.null_information > 0 else 0.0
    null = kept.at[0] + null_move
    if kept.number == 1:
        return _after_the_start(model, kept, step, null)
    outcome = step.taken(_objective(model, sums, kept, step, null_move), [null])
    return fitted(model, dataset, outcome, sums) if isinstance(outcome, Estimate) else outcome


def _after_the_start(model: Model, kept: Kept, step: Step, null: float) -> Next:
    """The second round: the start is each row's own, and nothing to be compared with."""
    # Where the next round finds no mean, the way back leads to the constant alone.
    before = [null] + [0.0] * len(step.at)
    if (place := model.design.intercept) is not None:
        before[place + 1] = null
    return Kept(2, [null, *(step.at + step.move).tolist()], before, absent=kept.absent).next()


def _objective(model: Model, sums: Sums, kept: Kept, step: Step, null_move: float) -> Objective:
    spread, null_spread = 1.0, 1.0
    if model.family.estimated:
        coefficients = len(step.at) - len(kept.absent)
        spread = max(sums.pearson / max(1, sums.used - coefficients), 1e-300)
        null_spread = max(sums.null_deviance / max(1, sums.used - 1), 1e-300)
    # The constant alone has to have converged too.
    decrement = max(step.gain / spread, null_move * sums.null_score / null_spread, 0.0) ** 0.5
    return Objective(
        value=sums.deviance + step.penalty,
        rounding=_ROUNDING,
        whole=sums.null_deviance,
        decrement=decrement,
        tolerance=TOLERANCE * max(1, sums.used) ** 0.5,
        separable=model.statement.link in _WITHOUT_END,
    )


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
