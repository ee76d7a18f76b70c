"""`kapok glm`, `survival`, `cox`, `test`, `matrix`, `meta`: ask, wait, show."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import click
import typer

from kapok.cli.explain import show_explanation
from kapok.cli.options import Home, Json
from kapok.cli.query import AtLeast, Deadline, Detach, OutFile, Parties, SealOption, answer_with
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from kapok.client.analyses import Kind
    from kapok.client.explaining import Explanation
    from kapok.client.progress import Listener
    from kapok.client.session import AsyncSession

__all__ = ["compare", "cox", "glm", "matrix", "meta", "survival"]

_Asked: TypeAlias = tuple["Kind", str | Sequence[str], str, dict[str, Any]]
"""Which kind of question, of what, over which dataset, and how: what the kind's own text takes."""


def _option(help_text: str, metavar: str | None = None) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=help_text, metavar=metavar, show_default=False)
    return found


def _formula(example: str) -> typer.models.ArgumentInfo:
    found: typer.models.ArgumentInfo = typer.Argument(metavar="FORMULA", help=example, show_default=False)
    return found


_Model = Annotated[str, _formula('"num > 0 ~ age + C(cp) + sex:oldpeak".')]
_Surv = Annotated[str, _formula('"Surv(time, event) ~ arm"; ~ 1 for no groups.')]
_Hazards = Annotated[str, _formula('"Surv(time, event) ~ age + C(arm)".')]
_Compared = Annotated[str, _formula('"chol ~ sex".')]
_Columns = Annotated[list[str], typer.Argument(metavar="COLUMN…", help="Two columns or more.")]
_Dataset = Annotated[str, _option("Whose rows: heart, or heart@ab12cd.", "NAME")]
_Family = Annotated[str, typer.Option(help="gaussian, binomial, poisson, gamma or negative_binomial.")]
_Link = Annotated[str | None, _option("[default: the family's canonical or usual one]")]
_Dispersion = Annotated[float | None, _option("Of a negative binomial: α in μ + α μ².")]
_Offset = Annotated[str | None, _option("Added to the linear predictor.", "EXPRESSION")]
_Weights = Annotated[str | None, _option("How much each row counts.", "EXPRESSION")]
_Complete = Annotated[list[str] | None, _option("Drop rows that lack this too (may be repeated).", "COLUMN")]
_Grid = Annotated[
    str | None, _option("Public times to which others are rounded up, as 30,90,365.", "TIME,TIME,…")
]
_Every = Annotated[float | None, _option("Or how far apart they are.  [default: twenty times]", "NUMBER")]
_Where = Annotated[
    str | None, _option('Which rows count, as in questions: "age > 60 AND sex = 1".', "CONDITION")
]
_Explain = Annotated[
    bool, typer.Option("--explain", help="Show what each holder would say, and ask for nothing.")
]
_Ridge = Annotated[float | None, _option("λ of the penalty λ/2 Σ β².")]
_Rounds = Annotated[int, typer.Option(help="Most rounds; policies may allow fewer.")]
_TestName = Annotated[Literal["t", "anova", "chi2"], typer.Argument(metavar="TEST", help="t, anova or chi2.")]
_Form = Annotated[
    Literal["correlation", "covariance", "components", "scaled_components"],
    typer.Argument(
        metavar="MATRIX",
        help="correlation, covariance, components or scaled_components (principal ones, of either).",
    ),
]


def _every_kind_takes(
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    explain: _Explain = False,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """What every kind of analysis takes: its parameters follow those of the kind's own."""


_SHARED: Final = inspect.signature(_every_kind_takes, eval_str=True).parameters


def _asking(command: Callable[..., _Asked]) -> Callable[..., None]:
    """A command that asks for what `command` makes of its arguments, and takes what every kind takes."""

    @wraps(command)
    def asking(**given: Any) -> None:
        shared = SimpleNamespace(**{name: given.pop(name) for name in _SHARED})
        kind, what, dataset, how = command(**given)
        how |= {"seal": shared.seal, "at_least": shared.at_least, "parties": shared.party or None}
        shown = {"home": shared.home, "json": shared.json}
        if shared.explain:
            if shared.detach or shared.out:
                raise click.UsageError("--explain asks for nothing: leave --detach and --out out")
            _explain(kind, what, dataset, how, **shown)
        else:
            how["deadline_s"] = shared.deadline
            _answer(kind, what, dataset, how, out=shared.out, detach=shared.detach, **shown)

    own = inspect.signature(command, eval_str=True).parameters
    parameters = [*own.values(), *_SHARED.values()]
    asking.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    asking.__annotations__ = {one.name: one.annotation for one in parameters}
    return asking


@_asking
def glm(
    formula: _Model,
    dataset: _Dataset,
    family: _Family = "gaussian",
    link: _Link = None,
    dispersion: _Dispersion = None,
    offset: _Offset = None,
    weights: _Weights = None,
    ridge: _Ridge = None,
    complete: _Complete = None,
    where: _Where = None,
    rounds: _Rounds = 25,
) -> _Asked:
    """Fit a generalised linear model over all holders of a dataset, as if their rows were pooled."""
    how: dict[str, Any] = {"family": family, "link": link, "dispersion": dispersion, "offset": offset}
    how |= {"weights": weights, "ridge": ridge, "complete": tuple(complete or ()), "where": where}
    how["rounds"] = rounds
    return "glm", formula, dataset, how


@_asking
def survival(
    formula: _Surv, dataset: _Dataset, grid: _Grid = None, every: _Every = None, where: _Where = None
) -> _Asked:
    """Kaplan-Meier curves and the log-rank test over all holders of a dataset, on a public grid of times."""
    return "survival", formula, dataset, {"grid": _times(grid), "every": every, "where": where}


@_asking
def cox(
    formula: _Hazards,
    dataset: _Dataset,
    grid: _Grid = None,
    every: _Every = None,
    ridge: _Ridge = None,
    where: _Where = None,
    rounds: _Rounds = 15,
) -> _Asked:
    """Fit Cox proportional hazards over all holders of a dataset, as if their rows were pooled."""
    how = {"grid": _times(grid), "every": every, "ridge": ridge, "where": where, "rounds": rounds}
    return "cox", formula, dataset, how


@_asking
def compare(name: _TestName, formula: _Compared, dataset: _Dataset, where: _Where = None) -> _Asked:
    """t-test, one-way analysis of variance, or χ² of a cross-table, over all holders of a dataset."""
    return "comparison", formula, dataset, {"test": name, "where": where}


@_asking
def matrix(form: _Form, columns: _Columns, dataset: _Dataset, where: _Where = None) -> _Asked:
    """Correlations, covariances or principal components of columns, over all holders of a dataset."""
    return "matrices", columns, dataset, {"form": form, "where": where}


@_asking
def meta(
    formula: _Model,
    dataset: _Dataset,
    family: _Family = "gaussian",
    link: _Link = None,
    offset: _Offset = None,
    weights: _Weights = None,
    complete: _Complete = None,
    where: _Where = None,
) -> _Asked:
    """Combine the holders' own fits of a generalised linear model by inverse variance; none is shown."""
    how = {"family": family, "link": link, "offset": offset, "weights": weights}
    return "meta", formula, dataset, how | {"complete": tuple(complete or ()), "where": where}


def _answer(
    kind: Kind,
    what: str | Sequence[str],
    dataset: str,
    how: Mapping[str, Any],
    *,
    home: Path | None,
    out: Path | None,
    detach: bool,
    json: bool,
) -> None:
    async def submit(session: AsyncSession, progress: Listener) -> str:
        from kapok.client.analyses import submit_analysis

        return await submit_analysis(session, kind, what, dataset, progress, how)

    answer_with(submit, home=home, out=out, detach=detach, json=json)


def _explain(
    kind: Kind,
    what: str | Sequence[str],
    dataset: str,
    how: Mapping[str, Any],
    *,
    home: Path | None,
    json: bool,
) -> None:
    async def ask(session: AsyncSession, progress: Listener) -> Explanation:
        return await session.explain_analysis(kind, what, dataset=dataset, progress=progress, **how)

    show_explanation(ask, home=home, json=json)


def _times(grid: str | None) -> list[float] | None:
    if grid is None:
        return None
    try:
        return [float(time) for time in grid.split(",")]
    except ValueError:
        raise InvalidInput(
            f"{grid!r} is no list of times", code="bad_grid", remedy="write it as in --grid 30,90,365"
        ) from None
