"""An app bundle on the terminal: what is in it, and where to look first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapok.cli.terminal import print_table, say, say_as_it_stands
from kapok.errors import counted, plain

if TYPE_CHECKING:
    from kapok.documents.inspection import Inspection

__all__ = ["inspection_document", "say_inspection"]


def inspection_document(found: Inspection) -> dict[str, Any]:
    """All of it."""
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(found)
    return document


def say_inspection(found: Inspection) -> None:
    """Identity, entry points, files, imports, configuration, and lines to look at."""
    say(f"app        {plain(found.name)} {plain(found.version)}, by its own word of {plain(found.publisher)}")
    say(f"hash       {found.hash}")
    say(f"beside the data   {found.client_app}")
    say(f"at the analyst's  {found.server_app}")
    say(f"imports    {', '.join(found.imports) or 'nothing'}")
    say(f"of Python's own  {', '.join(found.standard) or 'nothing'}")
    say(f"says it needs  {plain(', '.join(found.dependencies)) or 'nothing'}")
    print_table(
        ("file", "bytes", "lines"),
        [(one.path, one.size, one.lines) for one in found.files],
        title=f"{counted(len(found.files), 'file')}, {found.size:,} bytes packed",
        right=(1, 2),
    )
    if found.config:
        print_table(("configuration", "default"), [(key, repr(value)) for key, value in found.config.items()])
    for path in found.unreadable:
        say(f"look at    {path}: it is no Python that can be read")
    for one in found.notable:
        say_as_it_stands(f"look at    {one.path}:{one.line}  {plain(one.what)}: {one.why}")
