"""`kapok node`: a holder's daemon, and the people who decide for it."""

from __future__ import annotations

from functools import partial

from kapok.cli.grammar import group
from kapok.cli.options import Home, resolved_home

__all__ = ["app"]

app = group("A holder's node: answers beside its data, as its policy says.")


@app.command("run")
def run(home: Home = None) -> None:
    """Join the datasets and answer, until stopped."""
    from kapok.cli.serving import serve
    from kapok.nodes.app import run as node
    from kapok.nodes.settings import load_settings

    folder = resolved_home(home)
    serve(partial(node, folder), load_settings(folder).log_level)
