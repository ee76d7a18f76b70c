"""`kapok enroll`: become a member with a one-time token."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kapok.cli.options import Home, Json, resolved_home
from kapok.cli.terminal import note, print_json, say

__all__ = ["enroll"]

_MOST_TOKEN = 64 * 1024


def enroll(
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN", help="From the authority; - reads it from stdin.", show_default=False
        ),
    ],
    json: Json = False,
    home: Home = None,
) -> None:
    """Make a key here, have the authority certify it, and write a settings file to begin with."""
    from kapok.client.enrolment import enrol

    text = sys.stdin.read(_MOST_TOKEN) if token == "-" else token  # noqa: S105 - a mark, not a token
    folder = resolved_home(home)
    name = enrol(text.strip(), folder)
    if json:
        print_json({"name": str(name), "home": str(folder)})
        return
    say(f"enrolled as {name} in {folder}")
    own = f"{name.role}.toml"
    note(f"settings: {folder / (own if (folder / own).exists() else 'analyst.toml')}")
