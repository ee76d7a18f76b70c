"""Options that many commands share, so that they are called and explained alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from kapok.cli.hints import remember_home

__all__ = ["EXIT_STATUSES", "Home", "JobId", "Json", "resolved_home"]

EXIT_STATUSES: Final = (
    "Exit status: 0 done, 1 a defect of Kapok or of the machine, 2 wrong use of the command line, "
    "3 input that cannot be used, 4 refused, 5 not found, 6 unavailable or timed out, 7 protocol broken, "
    "8 identity invalid, 9 version mismatch, 130 interrupted."
)

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="KAPOK_HOME",
        metavar="DIR",
        help="Folder with settings, identity and state.  [default: $KAPOK_HOME, or ~/.kapok]",
        show_default=False,
        show_envvar=False,
        callback=remember_home,
    ),
]
JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="A job's identity, or at least its first 4 digits.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def resolved_home(home: Path | None) -> Path:
    """The folder that was named, or the default."""
    from kapok.client.profile import home_folder

    return home_folder(home)
