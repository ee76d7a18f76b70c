"""What is in an app bundle, for whoever has to decide about it: files, entry points, imports, configuration.

It reads the code and runs none of it. It shows where to look, and proves nothing: code can hide what it
does. What an app can do at all is a matter of the sandbox that it runs in.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from kapok.documents.bundle import Bundle, ConfigValue

__all__ = ["BundleFile", "Inspection", "Notable", "inspect"]

_NOTABLE_MODULES: Final = {
    "ctypes": "calls the system past Python",
    "importlib": "imports by a name that is made when it runs",
    "marshal": "makes code of bytes",
    "multiprocessing": "starts processes",
    "os": "reaches files and processes",
    "pickle": "makes objects, and what they do, of bytes",
    "pty": "starts processes",
    "requests": "uses a network",
    "shutil": "reaches files",
    "signal": "signals processes",
    "socket": "uses a network",
    "ssl": "uses a network",
    "subprocess": "starts processes",
    "urllib": "uses a network",
}
_NOTABLE_CALLS: Final = {
    "__import__": "imports by a name that is made when it runs",
    "compile": "makes code of a text",
    "eval": "runs a text as code",
    "exec": "runs a text as code",
    "open": "opens a file",
}


_BESIDE: Final = "lies beside the app's packages, and is taken for a library of that name"


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file: its path, bytes and lines."""

    path: str
    size: int
    lines: int


@dataclass(frozen=True, slots=True)
class Notable:
    """A line that a reader should look at first."""

    path: str
    line: int
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A bundle, as it is shown.

    Attributes:
        hash: SHA-256, lower-case hex.
        name: Of the project.
        version: Of the project.
        publisher: As the app says; nobody has checked it.
        size: Bytes of the archive.
        client_app: What runs beside the data.
        server_app: What runs at the analyst's.
        files: Sorted by path.
        imports: Top-level modules from elsewhere that are no part of Python, sorted.
        standard: Top-level modules of Python's own library, sorted.
        dependencies: What the app says it needs.
        config: Values that a job can change where an approval allows it, with their defaults.
        notable: Where to look first.
        unreadable: Paths of files of code that are none.
    """

    hash: str
    name: str
    version: str
    publisher: str
    size: int
    client_app: str
    server_app: str
    files: tuple[BundleFile, ...]
    imports: tuple[str, ...]
    standard: tuple[str, ...]
    dependencies: tuple[str, ...]
    config: dict[str, ConfigValue]
    notable: tuple[Notable, ...]
    unreadable: tuple[str, ...]


def inspect(bundle: Bundle) -> Inspection:
    """Look into a bundle."""
    trees: dict[str, ast.Module] = {}
    unreadable = []
    for path, content in bundle.files.items():
        if path.endswith(".py"):
            try:
                trees[path] = ast.parse(content)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                unreadable.append(path)
    first = {path: PurePosixPath(path).parts[0].removesuffix(".py") for path in trees}
    own, named = set(first.values()), {one.partition(".")[0] for one in _components(bundle)}
    modules = {name for tree in trees.values() for name in _imports(tree)}
    return Inspection(
        hash=bundle.hash,
        name=bundle.name,
        version=bundle.version,
        publisher=bundle.publisher,
        size=bundle.size,
        client_app=bundle.client_app,
        server_app=bundle.server_app,
        files=tuple(
            BundleFile(path, len(content), len(content.splitlines()))
            for path, content in bundle.files.items()
        ),
        imports=tuple(sorted(modules - own - sys.stdlib_module_names)),
        standard=tuple(sorted((modules & sys.stdlib_module_names) - own)),
        dependencies=bundle.dependencies,
        config=dict(bundle.config),
        notable=(
            *(
                Notable(path, 1, f"module {name}", _BESIDE)
                for path, name in first.items()
                if name not in named
            ),
            *(found for path, tree in trees.items() for found in _notable(path, tree)),
        ),
        unreadable=tuple(unreadable),
    )


def _components(bundle: Bundle) -> tuple[str, str]:
    return bundle.client_app.partition(":")[0], bundle.server_app.partition(":")[0]


def _imports(tree: ast.Module) -> Iterator[str]:
    """Top-level names of the modules that a module imports; those relative to it are its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _notable(path: str, tree: ast.Module) -> Iterator[Notable]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or "" if not node.level else ""]
            )
            for name in names:
                if (why := _NOTABLE_MODULES.get(name.partition(".")[0])) is not None:
                    yield Notable(path, node.lineno, f"import {name}", why)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if (why := _NOTABLE_CALLS.get(node.func.id)) is not None:
                yield Notable(path, node.lineno, f"{node.func.id}(…)", why)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr != "__init__":
            yield Notable(path, node.lineno, f".{node.attr}", "reaches into Python itself")
