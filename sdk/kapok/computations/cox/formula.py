"""From a formula to the text of proportional hazards. At the analyst only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from kapok.computations.cox.params import Statement, text_of
from kapok.computations.design.features import INTERCEPT
from kapok.computations.design.formula import read_formula
from kapok.computations.design.options import above_zero, condition_of
from kapok.computations.design.surv import grid_of, read_surv
from kapok.computations.language.hints import refuse

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["DEFAULT_ROUNDS", "cox_text"]

DEFAULT_ROUNDS: Final = 15


def cox_text(
    formula: str,
    dataset: Dataset,
    *,
    grid: Sequence[float] | None = None,
    every: float | None = None,
    ridge: float | None = None,
    where: str | None = None,
    rounds: int = DEFAULT_ROUNDS,
) -> str:
    """The canonical text of proportional hazards.

    Args:
        formula: ``Surv(time, event) ~ age + C(arm)``; terms as in every formula.
        dataset: Over whose columns.
        grid: The times to which others are rounded up.
        every: How far apart they are, where they are not listed.
        ridge: λ of the penalty λ/2 Σ β².
        where: A condition of the rows that count, as questions have it.
        rounds: Most rounds that it may take.

    Raises:
        InvalidInput: ``bad_formula``, ``bad_grid``, ``negative_times`` or what is wrong with an expression.
    """
    surv = read_surv(formula, dataset)
    read = read_formula(surv.right, dataset)
    if INTERCEPT not in read.terms or read.offset is not None:
        raise refuse(
            "a constant is in the baseline hazard, and there are no offsets",
            "leave 0, -1 and offset(…) out",
            "bad_formula",
        )
    terms = tuple(term for term in read.terms if term != INTERCEPT)
    if not terms:
        raise refuse("the formula has no terms", "write one as in Surv(time, event) ~ age", "bad_formula")
    return text_of(
        Statement(
            surv.time,
            surv.event,
            terms,
            grid_of(surv.time, dataset, grid, every),
            above_zero("ridge", ridge),
            rounds,
            dataset.name,
            condition_of(where),
        )
    )
