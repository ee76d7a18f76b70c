"""From a formula and what goes with it to a model's text. At the analyst only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from kapok.computations.design.formula import expression_of, read_formula
from kapok.computations.design.options import above_zero, condition_of
from kapok.computations.glm.families import FAMILIES
from kapok.computations.glm.params import Statement, text_of
from kapok.computations.language.hints import refuse
from kapok.computations.language.syntax import Call, Expression

if TYPE_CHECKING:
    from kapok.documents.dataset import Dataset

__all__ = ["DEFAULT_ROUNDS", "model_text"]

DEFAULT_ROUNDS: Final = 25


def model_text(
    formula: str,
    dataset: Dataset,
    *,
    family: str = "gaussian",
    link: str | None = None,
    dispersion: float | None = None,
    offset: str | None = None,
    weights: str | None = None,
    ridge: float | None = None,
    complete: Sequence[str] = (),
    where: str | None = None,
    rounds: int = DEFAULT_ROUNDS,
) -> str:
    """The canonical text of a model.

    Args:
        formula: As in ``num > 0 ~ age + sex``; see `kapok.computations.design.formula`.
        dataset: Over whose columns.
        family: Of the response: one of `FAMILIES`.
        link: One of the family's; its first when None.
        dispersion: Of a negative binomial, where it must be given.
        offset: An expression that is added to what is predicted.
        weights: An expression: how much each row counts.
        ridge: λ of the penalty λ/2 Σ β².
        complete: Further columns that a row must not lack.
        where: A condition of the rows that count, as questions have it.
        rounds: Most rounds that it may take.

    Raises:
        InvalidInput: ``bad_formula``, ``bad_model``, ``unknown_family`` or what is wrong with an expression.
    """
    if not isinstance(formula, str) or not isinstance(family, str):
        raise refuse("formula and family are texts", 'say "num > 0 ~ age", family="binomial"', "bad_model")
    if "~" not in formula and formula.strip():
        raise refuse("the formula has no ~", "write response ~ terms, as in num > 0 ~ age", "bad_formula")
    read = read_formula(formula, dataset)
    if read.response is None:
        raise refuse("the formula has no response", "write it left of ~, as in num > 0 ~ age", "bad_formula")
    if not read.terms:
        raise refuse("the formula has no terms", "write 1 for a constant alone", "bad_formula")
    family = family.lower().replace("-", "_").replace(" ", "_")
    default = FAMILIES[family].links[0] if family in FAMILIES else "identity"
    return text_of(
        Statement(
            read.response,
            read.terms,
            family,
            above_zero("dispersion", dispersion),
            (link or default).lower().replace("-", "_"),
            _sum(read.offset, None if offset is None else expression_of(offset, dataset)),
            None if weights is None else expression_of(weights, dataset),
            above_zero("ridge", ridge),
            rounds,
            dataset.name,
            tuple(sorted({dataset.column(name).name for name in complete})),
            condition_of(where),
        )
    )


def _sum(one: Expression | None, other: Expression | None) -> Expression | None:
    return Call("+", (one, other)) if one is not None and other is not None else one or other
