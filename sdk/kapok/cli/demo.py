"""`kapok demo`: the main job, end to end, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kapok.cli.options import Json
from kapok.protocols.sizes import DEFAULT_KEY_BITS

__all__ = ["demo"]


def demo(
    json: Json = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Work in DIR, and leave it there.", show_default=False),
    ] = None,
    bits: Annotated[
        int, typer.Option(help="Bits of the analyst's result key: 2048, 3072 or 4096.")
    ] = DEFAULT_KEY_BITS,
) -> None:
    """Run an authority, a broker, four hospitals and an analyst; compare the answers with the truth."""
    from kapok.demo.story import tell

    if not tell(keep=keep, bits=bits, as_json=json):
        raise typer.Exit(1)
