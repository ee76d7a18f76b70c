"""How models, survival, tests and matrices are asked for: each a text that its computation writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, Unpack, cast

from kapok.client.models import HowToAsk, HowToFit
from kapok.client.progress import Listener, Stopwatch, silent
from kapok.client.waiting import follow
from kapok.client.workspace import Workspace
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from kapok.client.catalogue import VerifiedDataset
    from kapok.client.explaining import Explanation
    from kapok.client.submission import Request
    from kapok.computations.comparison.view import Test
    from kapok.computations.cox.view import HazardsFit
    from kapok.computations.glm.fit import Fit
    from kapok.computations.matrices.view import MatrixView
    from kapok.computations.meta.view import MetaAnalysis
    from kapok.computations.survival.view import Curves
    from kapok.documents.dataset import Dataset

__all__ = [
    "Analyses",
    "HowToFitHazards",
    "HowToSurvive",
    "HowToTest",
    "Kind",
    "request_analysis",
    "submit_analysis",
    "written",
]

Kind: TypeAlias = Literal["glm", "survival", "cox", "comparison", "matrices", "meta"]

_WRITERS: Final[Mapping[Kind, str]] = {
    "glm": "model_text",
    "survival": "survival_text",
    "cox": "cox_text",
    "comparison": "comparison_text",
    "matrices": "matrix_text",
    "meta": "meta_text",
}


class HowToTest(HowToAsk, total=False):
    """What tests and matrices have beside what they are of.

    Attributes:
        where: A condition of the rows that count, as questions have it: ``age > 60 AND sex = 1``.
    """

    where: str | None


class HowToSurvive(HowToTest, total=False):
    """What curves have beside their formula.

    Attributes:
        grid: The times to which others are rounded up.
        every: How far apart they are, up to the schema's bound, where they are not listed; twenty without.
    """

    grid: Sequence[float] | None
    every: float | None


class HowToFitHazards(HowToAsk, total=False):
    """What proportional hazards have beside their formula.

    Attributes:
        grid, every: As for curves.
        ridge: λ of the penalty λ/2 Σ β².
        where: A condition of the rows that count, as ``age > 60``.
        rounds: Most rounds, 15 where nothing is said. Policies may allow fewer.
    """

    where: str | None
    grid: Sequence[float] | None
    every: float | None
    ridge: float | None
    rounds: int


async def request_analysis(
    workspace: Workspace, kind: Kind, what: str | Sequence[str], dataset: str, how: Mapping[str, Any]
) -> tuple[Request, VerifiedDataset]:
    """What an analysis asks, and of which dataset.

    Args:
        workspace: Whose profile asks.
        kind: Of the computation.
        what: A formula, or the columns of a matrix.
        dataset: Its name.
        how: All the rest: what is in `HowToAsk`, and what the kind's own text takes.

    Raises:
        InvalidInput: ``no_formulaic``: it is not installed; or what is wrong with the question.
        KapokError: the dataset cannot be fetched.
    """
    chosen = await workspace.dataset(dataset)
    asked = {name: value for name, value in how.items() if name in HowToAsk.__annotations__}
    said = {name: value for name, value in how.items() if name not in asked}
    text = written(kind, what, chosen.schema, said)
    return workspace.request(text, computation=kind, **asked), chosen


async def submit_analysis(
    workspace: Workspace,
    kind: Kind,
    what: str | Sequence[str],
    dataset: str,
    progress: Listener,
    how: Mapping[str, Any],
) -> str:
    """Ask for an analysis and return its job's identity at once. See `request_analysis`.

    Raises:
        KapokError: as for any question.
    """
    request, chosen = await request_analysis(workspace, kind, what, dataset, how)
    return await workspace.ask(request, chosen, progress)


def written(kind: Kind, what: str | Sequence[str], schema: Dataset, said: Mapping[str, Any]) -> str:
    """The text of an analysis, as its kind writes it.

    Raises:
        InvalidInput: ``no_formulaic``; or what is wrong with the question.
    """
    try:
        writer = getattr(import_module(f"kapok.computations.{kind}.formula"), _WRITERS[kind])
        return str(writer(what, schema, **said))
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"this needs {error.name}, which is not installed here",
            code="no_formulaic",
            remedy="pip install 'kapok[models]'",
        ) from None


class Analyses(Workspace):
    """What a session asks beside queries. See `docs/models.md`."""

    async def glm(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToFit]
    ) -> Fit:
        """Fit a generalised linear model to the rows of all holders together.

        Args:
            formula: ``num > 0 ~ age + C(cp) + sex:oldpeak``.
            dataset: Its name, as ``heart`` or ``heart@ab12cd``.
            progress: Told how it goes on.
            how: Family, link, offset and so on, and how it is asked; see `HowToFit`.
        """
        return cast("Fit", await self._analysed("glm", formula, dataset, progress, how))

    async def explain_analysis(
        self,
        kind: Kind,
        what: str | Sequence[str],
        *,
        dataset: str,
        progress: Listener = silent,
        **how: Any,
    ) -> Explanation:
        """What each holder's node would say to an analysis. It spends nothing and counts for nothing.

        Args:
            kind: ``glm``, ``survival``, ``cox``, ``comparison``, ``matrices`` or ``meta``.
            what: A formula, or the columns of a matrix.
            dataset: Its name, as ``heart`` or ``heart@ab12cd``.
            progress: Told how it goes on.
            how: All that the analysis itself takes.

        Raises:
            KapokError: as `AsyncSession.explain`.
        """
        from kapok.client.explaining import INQUIRY_S, explain

        asked = {**how, "deadline_s": INQUIRY_S}
        return await explain(self, *await request_analysis(self, kind, what, dataset, asked), progress)

    async def _analysed(
        self, kind: Kind, what: str | Sequence[str], dataset: str, progress: Listener, how: Mapping[str, Any]
    ) -> Any:
        watch = Stopwatch(progress)
        job_id = await submit_analysis(self, kind, what, dataset, watch, how)
        return (await follow(self, self.folder.load(job_id), watch)).view

    async def survival(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToSurvive]
    ) -> Curves:
        """Kaplan-Meier curves and the log-rank test over the rows of all holders together.

        Args:
            formula: ``Surv(time, event) ~ arm``, or ``~ 1`` for one curve.
            dataset: Its name, as ``heart`` or ``heart@ab12cd``.
            progress: Told how it goes on.
            how: The grid, a condition, and how it is asked; see `HowToSurvive`.

        Raises:
            KapokError: as `AsyncSession.query`.
        """
        return cast("Curves", await self._analysed("survival", formula, dataset, progress, how))

    async def cox(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToFitHazards]
    ) -> HazardsFit:
        """Fit Cox's proportional hazards to the rows of all holders together: ``Surv(time, event) ~ age``."""
        return cast("HazardsFit", await self._analysed("cox", formula, dataset, progress, how))

    async def test(
        self,
        name: Literal["t", "anova", "chi2"],
        formula: str,
        *,
        dataset: str,
        progress: Listener = silent,
        **how: Unpack[HowToTest],
    ) -> Test:
        """Test ``chol ~ sex``: t, one-way analysis of variance, or χ² of the cross-table."""
        asked = {**how, "test": name}
        return cast("Test", await self._analysed("comparison", formula, dataset, progress, asked))

    async def matrix(
        self,
        form: Literal["correlation", "covariance", "components", "scaled_components"],
        columns: Sequence[str],
        *,
        dataset: str,
        progress: Listener = silent,
        **how: Unpack[HowToTest],
    ) -> MatrixView:
        """Correlations, covariances or principal components of columns; scaled ones are of correlations."""
        asked = {**how, "form": form}
        return cast("MatrixView", await self._analysed("matrices", columns, dataset, progress, asked))

    async def meta(
        self, formula: str, *, dataset: str, progress: Listener = silent, **how: Unpack[HowToFit]
    ) -> MetaAnalysis:
        """Combine the holders' own fits of a generalised linear model, none of which is shown."""
        return cast("MetaAnalysis", await self._analysed("meta", formula, dataset, progress, how))
