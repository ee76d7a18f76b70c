"""How models are asked for: from a formula to a job, and from a result to a fit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict, cast

from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from kapok.client.progress import Listener
    from kapok.client.result import Result
    from kapok.client.session import AsyncSession
    from kapok.client.submission import Request, SealName
    from kapok.computations.glm.fit import Fit
    from kapok.documents.dataset import Dataset

__all__ = ["HowToAsk", "HowToFit", "fit_of", "submit_glm"]


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
        rounds: Most rounds, 25 where nothing is said. Policies may allow fewer.
    """

    family: str
    link: str | None
    dispersion: float | None
    offset: str | None
    weights: str | None
    ridge: float | None
    complete: Sequence[str]
    rounds: int


async def submit_glm(
    session: AsyncSession, formula: str, dataset: str, progress: Listener, how: HowToFit
) -> str:
    """Ask for a generalised linear model and return its job's identity at once.

    Args:
        session: Whose profile asks.
        formula: As the analyst wrote it.
        dataset: Its name.
        progress: Told how it goes on.
        how: All the rest.

    Raises:
        InvalidInput: ``no_formulaic``: it is not installed; or what is wrong with the model.
        KapokError: as for any question.
    """
    # Slow, and not needed before the dataset is there.
    loading = asyncio.ensure_future(asyncio.to_thread(_load))
    chosen = await session.dataset(dataset)
    await loading
    request = await asyncio.to_thread(_request, session.request, formula, chosen.schema, how)
    return await session.ask(request, chosen, progress)


def _load() -> None:
    with contextlib.suppress(ModuleNotFoundError):
        import formulaic.parser  # noqa: F401


def _request(request: Callable[..., Request], formula: str, schema: Dataset, how: HowToFit) -> Request:
    try:
        from kapok.computations.glm.formula import model_text
    except ModuleNotFoundError:
        raise _missing() from None
    asked = {name: value for name, value in how.items() if name in HowToAsk.__annotations__}
    fitted = {name: value for name, value in how.items() if name not in asked}
    try:
        text = model_text(formula, schema, **fitted)  # type: ignore[arg-type]  # as HowToFit has them
    except ModuleNotFoundError:
        raise _missing() from None
    return request(text, computation="glm", **asked)


def fit_of(result: Result) -> Fit:
    """The fit that a result holds."""
    return cast("Fit", result.view)


def _missing() -> InvalidInput:
    return InvalidInput(
        "formulas are read with formulaic, which is not installed here",
        code="no_formulaic",
        remedy="pip install 'kapok[models]'",
    )
