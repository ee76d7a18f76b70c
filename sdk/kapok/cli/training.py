"""`kapok fl run`: a Flower app over the nodes, to its end; and a training taken up again."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import click
import typer

from kapok.cli.live import Live
from kapok.cli.options import Home, JobId, Json
from kapok.cli.query import AtLeast, OutFile, Parties, until_interrupted
from kapok.cli.terminal import note, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from kapok.client.result import Result
    from kapok.client.session import AsyncSession

__all__ = ["resume", "run"]

_DAY_S: Final = 24 * 3600
_PICTURES: Final = (".png", ".pdf", ".svg")
ModelFile = Annotated[
    Path | None,
    typer.Option("--model", metavar="FILE", help="Write the final model to FILE, NumPy's .npz."),
]
PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", help="Draw the history into FILE: .png, .pdf or .svg (kapok[plot])."
    ),
]


AppFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="The app's folder: the one that `flwr run` takes.", show_default=False
    ),
]
DatasetName = Annotated[
    str, typer.Option("--dataset", metavar="NAME", help="Over whose holders it runs.", show_default=False)
]
RunConfig = Annotated[
    list[str] | None,
    typer.Option(
        "--run-config",
        metavar='"KEY=VALUE …"',
        help="Override values of the app's configuration, as `flwr run` takes them.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="NAME", help="What the app sees (may be repeated).  [default: all columns]"
    ),
]
MostExchanges = Annotated[
    int | None,
    typer.Option(
        "--exchanges",
        metavar="N",
        min=1,
        help="Most exchanges of the job.  [default: what the strategy starts with]",
        show_default=False,
    ),
]
WordBits = Annotated[
    int | None,
    typer.Option(
        "--word-bits",
        metavar="32|64",
        help="Width of a word.  [default: 64 for models of up to 250,000 values, else 32]",
        show_default=False,
    ),
]
ValueRange = Annotated[
    float | None,
    typer.Option(
        "--range",
        metavar="R",
        help="Largest magnitude of a value of the model.  [default: 1024, in 32 bits 16]",
        show_default=False,
    ),
]
IntegerRange = Annotated[
    float | None,
    typer.Option(
        "--integer-range",
        metavar="R",
        help="Largest magnitude of a whole number of the model, as of a counter.  [default: 1e6]",
        show_default=False,
    ),
]
MostExamples = Annotated[
    float | None,
    typer.Option(
        "--examples",
        metavar="N",
        help="Most examples of all holders together; the closer, the finer.  [default: 1e7, in 32 bits 1e5]",
        show_default=False,
    ),
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-norm",
        metavar="C",
        help="Shorten what an app changes at a node to this norm.",
        show_default=False,
    ),
]
Seal = Annotated[Literal["pad", "paillier"], typer.Option(help="How masked sums travel.")]
Deadline = Annotated[int, typer.Option("--deadline", metavar="SECONDS", help="Fail after.")]


def run(
    folder: AppFolder,
    dataset: DatasetName,
    run_config: RunConfig = None,
    column: Columns = None,
    exchanges: MostExchanges = None,
    word_bits: WordBits = None,
    value_range: ValueRange = None,
    integer_range: IntegerRange = None,
    examples: MostExamples = None,
    clip_norm: ClipNorm = None,
    seal: Seal = "pad",
    at_least: AtLeast = None,
    party: Parties = None,
    deadline: Deadline = _DAY_S,
    model: ModelFile = None,
    out: OutFile = None,
    plot: PlotFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Train with a Flower app: nobody sees the update of a single holder."""
    from kapok.client.training import TrainingRequest
    from kapok.flower.configuration import read_overrides

    if word_bits not in (None, 32, 64):
        raise click.UsageError("--word-bits is 32 or 64")
    request = TrainingRequest(
        app=folder,
        dataset=dataset,
        config=read_overrides(run_config or ()),
        columns=tuple(column) if column else None,
        exchanges=exchanges,
        word_bits=word_bits,
        value_range=value_range,
        integer_range=integer_range,
        examples=examples,
        clip_norm=clip_norm,
        seal=seal,
        at_least=at_least,
        parties=tuple(party) if party else None,
        deadline_s=deadline,
    )
    _carry_out(
        lambda session, live: session.train(request, progress=live),
        (model, out, plot),
        json=json,
        home=home,
    )


def resume(
    job_id: JobId,
    model: ModelFile = None,
    out: OutFile = None,
    plot: PlotFile = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Go on with a training that was interrupted, where it was."""

    async def take(session: AsyncSession, live: Live) -> Result:
        live.job_id, live.submitted = await session.whole_id(job_id), True
        return await session.wait(job_id, progress=live)

    _carry_out(take, (model, out, plot), json=json, home=home)


def _carry_out(
    work: Callable[[AsyncSession, Live], Coroutine[Any, Any, Result]],
    files: tuple[Path | None, Path | None, Path | None],
    *,
    json: bool,
    home: Path | None,
) -> None:
    import asyncio
    import contextlib
    import sys

    from kapok.cli.answers import check_out, show_result, write_result
    from kapok.client.exchanges import Exchanges
    from kapok.client.session import connect_async
    from kapok.computations.reports import new_axes

    model, out, plot = files
    check_out(out)
    check_out(plot, _PICTURES)
    if plot is not None:
        new_axes()  # says now, and not after hours, that it cannot be drawn

    async def go(live: Live) -> tuple[Result, Path]:
        async with await connect_async(home) as session:
            result = await work(session, live)
            return result, Exchanges(session.folder.training_folder(result.job_id)).model_file

    live = Live(quiet=json)
    # What the server app prints is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        result, kept = until_interrupted(live, lambda: asyncio.run(go(live)), resume="resume")
    written = kept if model is None else _copied(kept, model)
    if out is not None:
        write_result(result, out)
    if plot is not None:
        _draw(kept.parent, plot)
    if json:
        print_json(result.to_document() | {"model": str(written)})
        return
    show_result(result, json=False, written=out)
    note(f"the model is in {written}")


def _copied(kept: Path, model: Path) -> Path:
    from kapok.identity.keyfiles import replace_file

    replace_file(model, kept.read_bytes())
    return model


def _draw(folder: Path, plot: Path) -> None:
    from kapok.client.exchanges import Exchanges
    from kapok.client.history import History

    History(tuple(Exchanges(folder).done())).draw(plot)
