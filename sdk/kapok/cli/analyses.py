"""`kapok survival`, `cox`, `test`, `matrix`, `meta`: ask, wait, show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kapok.cli.glm import (
    CompleteOption,
    DatasetOption,
    FamilyOption,
    FormulaArgument,
    LinkOption,
    OffsetOption,
    WeightsOption,
)
from kapok.cli.options import Home, Json
from kapok.cli.query import AtLeast, Deadline, Detach, OutFile, Parties, SealOption, answer_with
from kapok.errors import InvalidInput

if TYPE_CHECKING:
    from kapok.client.analyses import Kind
    from kapok.client.progress import Listener
    from kapok.client.session import AsyncSession

__all__ = ["compare", "cox", "matrix", "meta", "survival"]


def _option(help_text: str, metavar: str | None = None) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=help_text, metavar=metavar, show_default=False)
    return found


_Surv = Annotated[
    str, typer.Argument(metavar="FORMULA", help='"Surv(time, event) ~ arm"; ~ 1 for no groups.')
]
_Hazards = Annotated[str, typer.Argument(metavar="FORMULA", help='"Surv(time, event) ~ age + C(arm)".')]
_Compared = Annotated[str, typer.Argument(metavar="FORMULA", help='"chol ~ sex".')]
_Columns = Annotated[list[str], typer.Argument(metavar="COLUMN…", help="Two columns or more.")]
_Grid = Annotated[
    str | None, _option("Public times to which others are rounded up, as 30,90,365.", "TIME,TIME,…")
]
_Every = Annotated[float | None, _option("Or how far apart they are.  [default: twenty times]", "NUMBER")]
_Where = Annotated[str | None, _option("Which rows count, as age > 60.", "CONDITION")]
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


def survival(
    formula: _Surv,
    dataset: DatasetOption,
    grid: _Grid = None,
    every: _Every = None,
    where: _Where = None,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Kaplan-Meier curves and the log-rank test over all holders of a dataset, on a public grid of times."""
    said = {"grid": _times(grid), "every": every, "where": where}
    asked = _asked(seal, at_least, party, deadline)
    _answer("survival", formula, dataset, said | asked, home=home, out=out, detach=detach, json=json)


def cox(
    formula: _Hazards,
    dataset: DatasetOption,
    grid: _Grid = None,
    every: _Every = None,
    ridge: _Ridge = None,
    rounds: _Rounds = 15,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Fit Cox proportional hazards over all holders of a dataset, as if their rows were pooled."""
    said = {"grid": _times(grid), "every": every, "ridge": ridge, "rounds": rounds}
    asked = _asked(seal, at_least, party, deadline)
    _answer("cox", formula, dataset, said | asked, home=home, out=out, detach=detach, json=json)


def compare(
    name: _TestName,
    formula: _Compared,
    dataset: DatasetOption,
    where: _Where = None,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """t-test, one-way analysis of variance, or χ² of a cross-table, over all holders of a dataset."""
    said = {"test": name, "where": where}
    asked = _asked(seal, at_least, party, deadline)
    _answer("comparison", formula, dataset, said | asked, home=home, out=out, detach=detach, json=json)


def matrix(
    form: _Form,
    columns: _Columns,
    dataset: DatasetOption,
    where: _Where = None,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Correlations, covariances or principal components of columns, over all holders of a dataset."""
    said = {"form": form, "where": where}
    asked = _asked(seal, at_least, party, deadline)
    _answer("matrices", columns, dataset, said | asked, home=home, out=out, detach=detach, json=json)


def meta(
    formula: FormulaArgument,
    dataset: DatasetOption,
    family: FamilyOption = "gaussian",
    link: LinkOption = None,
    offset: OffsetOption = None,
    weights: WeightsOption = None,
    complete: CompleteOption = None,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Combine the holders' own fits of a generalised linear model by inverse variance; none is shown."""
    said = {"family": family, "link": link, "offset": offset, "weights": weights}
    asked = _asked(seal, at_least, party, deadline)
    how = said | {"complete": tuple(complete or ())} | asked
    _answer("meta", formula, dataset, how, home=home, out=out, detach=detach, json=json)


def _asked(
    seal: str | None, at_least: int | None, party: list[str] | None, deadline: int | None
) -> dict[str, Any]:
    return {"seal": seal, "at_least": at_least, "parties": party or None, "deadline_s": deadline}


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


def _times(grid: str | None) -> list[float] | None:
    if grid is None:
        return None
    try:
        return [float(time) for time in grid.split(",")]
    except ValueError:
        raise InvalidInput(
            f"{grid!r} is no list of times", code="bad_grid", remedy="write it as in --grid 30,90,365"
        ) from None
