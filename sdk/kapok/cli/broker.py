"""`kapok broker`: brings nodes and analysts together."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kapok.cli.grammar import group
from kapok.cli.options import Home, Json, resolved_home
from kapok.cli.terminal import note, print_json, say

__all__ = ["app"]

app = group("The broker: brings nodes and analysts together.")


@app.callback()
def _group() -> None:
    """The broker: brings nodes and analysts together."""


@app.command("run")
def run(home: Home = None) -> None:
    """Serve nodes and analysts, until stopped."""
    from kapok.broker.app import run as broker
    from kapok.cli.serving import serve

    serve(partial(broker, resolved_home(home)))


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.", show_default=False)],
    json: Json = False,
    home: Home = None,
) -> None:
    """Copy the broker's database as it is now. The broker may run."""
    from kapok.broker.backup import backup as copy

    size = copy(resolved_home(home), file)
    if json:
        print_json({"file": str(file), "bytes": size})
        return
    say(f"{file}: {size:,} bytes")
    note("it holds no key: copy identity/ and broker.toml as well")


@app.command("restore")
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A copy made by `kapok broker backup`.", show_default=False)
    ],
    json: Json = False,
    home: Home = None,
) -> None:
    """Put a copy in the place of the broker's database, which is stopped."""
    from kapok.broker.backup import restore as bring_back

    kept = bring_back(resolved_home(home), file)
    if json:
        print_json({"restored": str(file), "before": None if kept is None else str(kept)})
        return
    say(f"restored from {file}")
    if kept is not None:
        note(f"what was there before is {kept}; delete it when all is well")
    note("jobs that were asked since are unknown now and must be asked again")
