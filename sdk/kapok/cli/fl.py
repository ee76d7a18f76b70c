"""`kapok fl`: Flower apps over the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kapok.cli import training
from kapok.cli.grammar import group
from kapok.cli.options import Json
from kapok.cli.terminal import print_json, say
from kapok.errors import InvalidInput

__all__ = ["app"]

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="The app's folder: the one that `flwr run` takes.", show_default=False
    ),
]
Source = Annotated[
    Path,
    typer.Argument(metavar="FILE|DIR", help="A bundle, or an app's folder.", show_default=False),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="Where to write it.  [default: NAME.HASH.fab here]", show_default=False
    ),
]

app = group("Train models with Flower apps, whose updates nobody sees.")
app.command("run")(training.run)


@app.command("build")
def build(folder: Folder, out: Out = None, json: Json = False) -> None:
    """Make an app's bundle: the file that holders read and approve by its hash."""
    from kapok.documents.bundle import read_bundle
    from kapok.flower.building import build_bundle

    content = build_bundle(folder)
    bundle = read_bundle(content)
    path = out or Path(f"{bundle.name}.{bundle.hash[:12]}.fab")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(
            f"the bundle cannot be written to {path}: {error.strerror}",
            code="bad_file",
            remedy="name another file with --out",
        ) from None
    if json:
        print_json({"file": str(path), "hash": bundle.hash, "size": bundle.size})
        return
    say(f"file  {path}")
    say(f"hash  {bundle.hash}")
    say("send the file to each holder: its officer reads it, and approves this hash")


@app.command("inspect")
def inspect(source: Source, json: Json = False) -> None:
    """Show what is in an app: files, entry points, imports, configuration, and lines to look at first."""
    from kapok.cli.inspecting import inspection_document, say_inspection
    from kapok.documents.bundle import read_bundle, read_bundle_file
    from kapok.documents.inspection import inspect as look

    if source.is_dir():
        from kapok.flower.building import build_bundle

        content = build_bundle(source)
    else:
        content = read_bundle_file(source)
    found = look(read_bundle(content))
    if json:
        print_json(inspection_document(found))
    else:
        say_inspection(found)
