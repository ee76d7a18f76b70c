"""From a formula to the text of curves. At the analyst only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kapok.computations.design.formula import expression_of
from kapok.computations.design.options import condition_of
from kapok.computations.design.surv import grid_of, read_surv
from kapok.computations.survival.params import Statement, text_of

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["survival_text"]


def survival_text(
    formula: str,
    dataset: Dataset,
    *,
    grid: Sequence[float] | None = None,
    every: float | None = None,
    where: str | None = None,
) -> str:
    """The canonical text of curves.

    Args:
        formula: ``Surv(time, event) ~ arm``, or ``~ 1`` for one curve.
        dataset: Over whose columns.
        grid: The times to which others are rounded up.
        every: How far apart they are, where they are not listed.
        where: A condition of the rows that count, as questions have it.

    Raises:
        InvalidInput: ``bad_formula``, ``bad_grid``, ``negative_times`` or what is wrong with an expression.
    """
    surv = read_surv(formula, dataset)
    return text_of(
        Statement(
            surv.time,
            surv.event,
            None if surv.right == "1" else expression_of(surv.right, dataset),
            grid_of(surv.time, dataset, grid, every),
            dataset.name,
            condition_of(where),
        )
    )
