"""From a formula to the text of a test. At the analyst only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapok.computations.comparison.params import Statement, text_of
from kapok.computations.design.formula import expression_of
from kapok.computations.design.options import condition_of
from kapok.computations.language.hints import refuse

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["comparison_text"]


def comparison_text(formula: str, dataset: Dataset, *, test: str, where: str | None = None) -> str:
    """The canonical text of a test.

    Args:
        formula: ``chol ~ sex``: what is compared, and between which groups.
        dataset: Over whose columns.
        test: ``t``, ``anova`` or ``chi2``.
        where: A condition of the rows that count, as questions have it.

    Raises:
        InvalidInput: ``no_scipy``: it is not installed; ``bad_formula`` or what is wrong with an expression.
    """
    try:
        import scipy.special  # noqa: F401  an answer needs it: better missed before it is asked for
    except ModuleNotFoundError:
        raise refuse(
            "tests need scipy, which is not installed here", "pip install 'kapok[models]'", "no_scipy"
        ) from None
    value, tilde, group = formula.partition("~")
    if not tilde or not value.strip() or not group.strip():
        raise refuse(
            "the formula does not say what is compared between which groups",
            "write it as in chol ~ sex",
            "bad_formula",
        )
    compared = expression_of(value, dataset), expression_of(group, dataset)
    return text_of(Statement(test, *compared, dataset.name, condition_of(where)))
