"""What is said beside a question of any kind, and beside a model's formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from kapok.client.submission import SealName

__all__ = ["HowToAsk", "HowToFit"]


class HowToAsk(TypedDict, total=False):
    """How any question is asked; see `kapok.client.session.AsyncSession.query`."""

    seal: SealName | None
    at_least: int | None
    parties: Sequence[str] | None
    deadline_s: int | None


class HowToFit(HowToAsk, total=False):
    """What a generalised linear model has beside its formula; see `kapok.computations.glm.formula`.

    Attributes:
        family: ``gaussian`` where nothing is said, ``binomial``, ``poisson``, ``gamma``,
            ``negative_binomial``.
        link: One of the family's; its canonical or usual one where nothing is said.
        dispersion: Of a negative binomial: α in the variance μ + α μ².
        offset: An expression that is added to the linear predictor.
        weights: An expression: prior weights.
        ridge: λ of the penalty λ/2 Σ β² on all coefficients but the intercept's.
        complete: Further columns that a row must not lack.
        where: A condition of the rows that count, as questions have it: ``age > 60 AND sex = 1``.
        rounds: Most rounds, 25 where nothing is said. Policies may allow fewer.
    """

    family: str
    link: str | None
    dispersion: float | None
    offset: str | None
    weights: str | None
    ridge: float | None
    complete: Sequence[str]
    where: str | None
    rounds: int
