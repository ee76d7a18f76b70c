"""`kapok glm`: fit a generalised linear model, wait, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kapok.cli.options import Home, Json
from kapok.cli.query import AtLeast, Deadline, Detach, OutFile, Parties, SealOption, answer_with
from kapok.client.models import HowToFit, submit_glm

if TYPE_CHECKING:
    from kapok.client.progress import Listener
    from kapok.client.session import AsyncSession

__all__ = [
    "CompleteOption",
    "DatasetOption",
    "FamilyOption",
    "FormulaArgument",
    "LinkOption",
    "OffsetOption",
    "WeightsOption",
    "glm",
]


def _option(help_text: str, metavar: str | None = None) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=help_text, metavar=metavar, show_default=False)
    return found


FormulaArgument = Annotated[
    str, typer.Argument(metavar="FORMULA", help='"num > 0 ~ age + C(cp) + sex:oldpeak".', show_default=False)
]
DatasetOption = Annotated[str, _option("Whose rows: heart, or heart@ab12cd.", "NAME")]
FamilyOption = Annotated[str, typer.Option(help="gaussian, binomial, poisson, gamma or negative_binomial.")]
LinkOption = Annotated[str | None, _option("[default: the family's canonical or usual one]")]
_Dispersion = Annotated[float | None, _option("Of a negative binomial: α in μ + α μ².")]
OffsetOption = Annotated[str | None, _option("Added to the linear predictor.", "EXPRESSION")]
WeightsOption = Annotated[str | None, _option("How much each row counts.", "EXPRESSION")]
_Ridge = Annotated[float | None, _option("λ of the penalty λ/2 Σ β².")]
CompleteOption = Annotated[
    list[str] | None, _option("Drop rows that lack this too (may be repeated).", "COLUMN")
]
_Rounds = Annotated[int, typer.Option(help="Most rounds; policies may allow fewer.")]


def glm(
    formula: FormulaArgument,
    dataset: DatasetOption,
    family: FamilyOption = "gaussian",
    link: LinkOption = None,
    dispersion: _Dispersion = None,
    offset: OffsetOption = None,
    weights: WeightsOption = None,
    ridge: _Ridge = None,
    complete: CompleteOption = None,
    rounds: _Rounds = 25,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = None,
    detach: Detach = False,
    out: OutFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Fit a generalised linear model over all holders of a dataset, as if their rows were pooled."""
    how = HowToFit(
        family=family,
        link=link,
        dispersion=dispersion,
        offset=offset,
        weights=weights,
        ridge=ridge,
        complete=tuple(complete or ()),
        rounds=rounds,
        seal=seal,
        at_least=at_least,
        parties=party or None,
        deadline_s=deadline,
    )

    async def submit(session: AsyncSession, progress: Listener) -> str:
        return await submit_glm(session, formula, dataset, progress, how)

    answer_with(submit, home=home, out=out, detach=detach, json=json)
