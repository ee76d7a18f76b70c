"""Newton's method over rounds: from what one round sums at some coefficients to the next, or to the end.

    sum at β ─▶ worse than before, or beyond what there can be? ─▶ half the step back
             ─▶ the next step moves next to nothing?            ─▶ converged
             ─▶ steps that get no shorter, and gain nothing?    ─▶ separated
             ─▶ β + (I + λ)⁻¹ (U - λβ), bent (`solving.bent`)   ─▶ the next round's parameters

A fit has converged when the next step would move no combination of coefficients by more than a small part of
its standard error, and takes that step too: what is left of the score is the square of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from kapok.computations.design.coefficients import encode
from kapok.computations.design.solving import bent, dependent_columns, set_aside, solved
from kapok.computations.registry import Next

if TYPE_CHECKING:
    from kapok.computations.design.columns import Floats
    from kapok.computations.design.model import ModelQuestion

__all__ = ["TOLERANCE", "Estimate", "Kept", "Objective", "Step", "half_the_step_back", "unfittable"]

TOLERANCE: Final = 1e-8
"""By how much of a standard error the next step may move where a fit has converged."""
_STALLED: Final = 1e-5
_MOST_HALVINGS: Final = 12
_ENDLESS: Final = 4
"""How many steps in a row must have gone on without getting shorter before columns are said to separate."""


class Kept(msgspec.Struct, frozen=True):
    """What the analyst keeps between two rounds.

    Attributes:
        number: Of the round to come.
        at: Coefficients that it looks at: those of the columns, after those of a model that is fitted beside.
        before: Those of the best round before.
        objective: There; None before there is any.
        null: The objective where no column has an effect, where the first round told it.
        halvings: How often in a row the way back was halved.
        steps: For each round how far its step went, in units of η.
        decrement: By how many standard errors the last step moved.
        absent: Columns of levels that no row has: their coefficients stay where they are, at 0.
        score: At `before`, with the penalty; empty before there is any.
    """

    number: int
    at: list[float]
    before: list[float]
    objective: float | None = None
    null: float = 0.0
    halvings: int = 0
    steps: list[float] = []
    decrement: float = 1e300
    absent: list[int] = []
    score: list[float] = []

    def next(self) -> Next:
        """The round to come."""
        return Next(encode(np.array(self.at)), msgspec.json.encode(self))


@dataclass(frozen=True, slots=True)
class Objective:
    """What a round says of the coefficients that it looked at.

    Attributes:
        value: What each step must lower, with the penalty.
        rounding: By what part of it rounding alone may raise it.
        whole: Of what part it must still fall while columns go on and on: that of no effect at all.
        decrement: By how many standard errors the next step would move.
        tolerance: At what decrement the fit has converged.
        separable: Whether there are coefficients without end that fit ever better.
    """

    value: float
    rounding: float
    whole: float
    decrement: float
    tolerance: float
    separable: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where a fit has ended.

    Attributes:
        status: How.
        separating: Names of the columns that separate.
        rounds: How many it took.
        at: Coefficients of the standardised columns, shape (columns,).
        covariance: The information's inverse, shape (columns, columns).
        absent: Places of the columns of levels that no row has.
    """

    status: Literal["converged", "not_converged", "separated"]
    separating: tuple[str, ...]
    rounds: int
    at: Floats
    covariance: Floats
    absent: Sequence[int]

    @property
    def there(self) -> list[int]:
        """Places of the columns that some row has."""
        return [place for place in range(len(self.at)) if place not in self.absent]


class Step:
    """Newton's step from where a round looked.

    Args:
        model: As asked.
        kept: What led there.
        information: Minus the likelihood's second derivative or what stands for it, shape (columns, columns).
        score: Its first, shape (columns,).
        free: Place of a coefficient that is not penalised, the constant's.
        exact: Whether `information` is the second derivative, so that the step may be bent by its change.

    Attributes:
        at: Coefficients of the columns.
        information, score: With the penalty, and absent columns set aside.
        move: The step.
        gain: score·move of the step as it is solved for: the square of the decrement where nothing scales it.
        penalty: λ/2 Σ β², twice.
    """

    def __init__(
        self,
        model: ModelQuestion,
        kept: Kept,
        information: Floats,
        score: Floats,
        *,
        free: int | None = None,
        exact: bool = True,
    ) -> None:
        columns = len(model.design.columns)
        self._model, self._kept = model, kept
        self.at: Floats = np.array(kept.at[len(kept.at) - columns :])
        penalty = model.ridge / model.design.half**2
        if free is not None:
            penalty[free] = 0.0
        self.penalty = float(penalty @ self.at**2)
        self.information, self.score = set_aside(
            information + np.diag(penalty), score - penalty * self.at, kept.absent
        )
        self.move = solved(self.information, self.score)
        self.gain = max(0.0, float(self.score @ self.move))
        if exact and kept.score and not kept.halvings:
            last = self.at - np.array(kept.before[len(kept.at) - columns :])
            self.move = bent(self.information, self.move, last, np.array(kept.score))

    def taken(self, objective: Objective, beside: Sequence[float] = ()) -> Next | Estimate:
        """Take it, go half the last one back, or end.

        Args:
            objective: What the round says of the coefficients.
            beside: The next coefficients of a model that is fitted beside.
        """
        kept = self._kept
        worst = not np.isfinite(objective.value)
        if worst or (kept.objective is not None and _worse(objective, kept.objective)):
            if (back := half_the_step_back(self._model, kept)) is not None:
                return back
            if worst:
                return self._ended("not_converged")
        stalled = objective.decrement < _STALLED and objective.decrement > kept.decrement / 2
        if objective.decrement <= objective.tolerance or stalled:
            return self._ended("converged")
        steps = [*kept.steps, float(np.abs(self.move).max())]
        if endless := self._endless(steps, objective):
            return self._ended("separated", endless)
        if kept.number == self._model.rounds:
            return self._ended("not_converged")
        return Kept(
            number=kept.number + 1,
            at=[*beside, *(self.at + self.move).tolist()],
            before=kept.at,
            objective=objective.value,
            null=kept.null,
            steps=steps,
            decrement=objective.decrement,
            absent=kept.absent,
            score=self.score.tolist(),
        ).next()

    def _endless(self, steps: list[float], objective: Objective) -> tuple[str, ...]:
        """The columns whose coefficients go on and on, while the objective hardly falls any more."""
        last = steps[-_ENDLESS:]
        falls = (self._kept.objective or 0.0) - objective.value
        if (
            not objective.separable
            or len(last) < _ENDLESS
            or min(last) < 0.2
            or any(later < 0.7 * earlier for earlier, later in pairwise(last))
            or falls > 1e-2 * max(1.0, abs(objective.whole))
        ):
            return ()
        far = np.abs(self.move) > 0.02 * last[-1]
        named = zip(self._model.design.columns, far, strict=True)
        return tuple(column.name for column, is_far in named if is_far)

    def _ended(
        self, status: Literal["converged", "not_converged", "separated"], columns: tuple[str, ...] = ()
    ) -> Estimate:
        at = self.at + self.move if status == "converged" else self.at
        covariance = solved(self.information, np.eye(len(at)))
        return Estimate(status, columns, self._kept.number, at, covariance, self._kept.absent)


def _worse(objective: Objective, before: float) -> bool:
    return objective.value > before + objective.rounding * (abs(before) + 1)


def half_the_step_back(model: ModelQuestion, kept: Kept) -> Next | None:
    """Half the way back to where it was better; None where that was tried often enough, or rounds end."""
    if kept.halvings == _MOST_HALVINGS or kept.number == model.rounds:
        return None
    at = [(here + there) / 2 for here, there in zip(kept.at, kept.before, strict=True)]
    went = msgspec.structs.replace(kept, number=kept.number + 1, at=at, halvings=kept.halvings + 1)
    return went.next()


def unfittable(
    model: ModelQuestion, rows: int, information: Floats, absent: Sequence[int]
) -> tuple[str, tuple[str, ...]] | None:
    """Why there is no fit, whatever the coefficients: a status, and the columns that others give.

    Args:
        model: As asked.
        rows: How many tell something of its coefficients.
        information: At the first coefficients, shape (columns, columns).
        absent: Places of the columns of levels that no row has.
    """
    columns = model.design.columns
    if model.ridge:
        return None
    if rows <= len(columns) - len(absent):
        return "too_few_rows", ()
    if dependent := dependent_columns(set_aside(information, np.zeros(len(columns)), absent)[0]):
        return "dependent_columns", tuple(columns[place].name for place in dependent)
    return None
