"""From columns to the text of a matrix. At the analyst only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kapok.computations.design.formula import expression_of
from kapok.computations.design.options import condition_of
from kapok.computations.matrices.params import Statement, text_of

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["matrix_text"]


def matrix_text(
    columns: Sequence[str], dataset: Dataset, *, form: str = "correlation", where: str | None = None
) -> str:
    """The canonical text of a matrix.

    Args:
        columns: Names of columns, or expressions as in formulas.
        dataset: Over whose columns.
        form: One of `FORMS`.
        where: A condition of the rows that count, as questions have it.

    Raises:
        InvalidInput: what is wrong with an expression.
    """
    listed = tuple(expression_of(column, dataset) for column in columns)
    return text_of(Statement(form, listed, dataset.name, condition_of(where)))
