"""`kapok node cohort`: what binds this node, and a reopening that its people bring, without the broker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kapok.cli.grammar import group
from kapok.cli.options import Home, Json, resolved_home
from kapok.cli.terminal import print_json, say
from kapok.errors import plain

__all__ = ["app"]

app = group("With which nodes this node answers, as its own journal has it.")


@app.command("show")
def show(json: Json = False, home: Home = None) -> None:
    """Show the cohorts that bind this node, by table and receiver."""
    import msgspec

    from kapok.nodes.reopenings import show as look

    reports = look(resolved_home(home))
    if json:
        print_json({"scopes": msgspec.to_builtins(reports)})
        return
    if not reports:
        say("nothing was released yet: no cohort binds this node")
    for report in reports:
        say(f"asset      {report.asset}")
        say(f"receiver   {plain(report.organisation)}")
        for names in report.cohorts:
            say(f"cohort     {plain(', '.join(names))}")
        if report.reopening:
            say(f"reopening  {report.reopening} (serial {report.serial})")


@app.command("accept")
def accept(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="From `kapok cohort save`.", show_default=False)
    ],
    json: Json = False,
    home: Home = None,
) -> None:
    """Accept a reopening that every officer has signed; the running node goes by it at once."""
    from kapok.nodes.reopenings import accept as take

    document, new = take(resolved_home(home), file)
    if json:
        print_json({"reopening": document.id, "new": new})
    else:
        say(f"reopening {document.id} is {'accepted' if new else 'accepted already'}")
