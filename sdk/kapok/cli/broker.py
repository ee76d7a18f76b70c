"""`kapok broker`: brings nodes and analysts together."""

from __future__ import annotations

from functools import partial

from kapok.cli.grammar import group
from kapok.cli.options import Home, resolved_home

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
