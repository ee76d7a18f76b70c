"""How DuckDB reads the files of one format, and whether several files agree with each other.

The engine would make one table of files that differ, by casts that lose (1.5 becomes 2) and columns that take
the place of others. So they must agree in names and types, and the first that does not is named.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from kapok.nodes.settings import ArrowSource, CsvSource, ParquetSource
from kapok.nodes.sources.engine import Unreadable
from kapok.nodes.sources.spelling import literal

__all__ = ["Files", "arrow_dataset", "check_agreement", "scan"]

Files = CsvSource | ParquetSource | ArrowSource

_MOST_HEADER_BYTES: Final = 2**20


def scan(source: CsvSource | ParquetSource, paths: Sequence[Path]) -> str:
    """The table function that reads these files as one table.

    Raises:
        InvalidInput: ``source_unreadable``: the first file has no usable header.
    """
    listed = "[" + ", ".join(literal(str(path)) for path in paths) + "]"
    if isinstance(source, ParquetSource):
        # A folder named sex=1 must not stand for a column.
        return f"read_parquet({listed}, hive_partitioning = false)"
    # Every cell is read as text, and nothing is guessed.
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in source.columns or _header(source, paths[0]))
    nulls = ", ".join(map(literal, source.nulls))
    return (
        f"read_csv({listed}, auto_detect = false, compression = 'none', "
        f"columns = {{{types}}}, header = {str(source.header).lower()}, delim = {literal(source.delimiter)}, "
        f"quote = '\"', escape = '\"', nullstr = [{nulls}], strict_mode = true, hive_partitioning = false)"
    )


def arrow_dataset(paths: Sequence[Path]) -> Any:
    """The files as one Arrow dataset, read piece by piece.

    Not mapped into memory: a file that its holder shortens meanwhile would end the process (SIGBUS), and not
    the question alone.

    Raises:
        InvalidInput: ``source_unreadable``: one is no Arrow IPC file.
    """
    import pyarrow.dataset
    import pyarrow.fs

    _arrow_schema(paths[0])
    files = pyarrow.fs.LocalFileSystem(use_mmap=False)
    return pyarrow.dataset.dataset([str(path) for path in paths], format="ipc", filesystem=files)


def check_agreement(source: Files, paths: Sequence[Path], connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse files that do not have the same columns, and what else no single cell shows.

    Raises:
        InvalidInput: ``source_unreadable``, naming file and column.
        duckdb.Error: a file is not of its format.
    """
    match source:
        case CsvSource():
            if not source.columns:
                _check_equal(
                    paths, [dict.fromkeys(_header(source, path), "") for path in paths], ordered=True
                )
            if len(source.columns or _header(source, paths[0])) == 1 and "" in source.nulls:
                for path in paths:
                    _check_lines(path, paths)
        case ParquetSource():
            _check_equal(paths, [_parquet_columns(path, paths, connection) for path in paths])
        case ArrowSource():
            _check_equal(paths, [_arrow_columns(path, paths) for path in paths])


def named(path: Path, paths: Sequence[Path]) -> str:
    """A file as it is called among others."""
    if len(paths) == 1:
        return path.name
    return os.path.relpath(path, os.path.commonpath([one.parent for one in paths]))


def _check_equal(paths: Sequence[Path], found: list[dict[str, str]], *, ordered: bool = False) -> None:
    for path, columns in zip(paths[1:], found[1:], strict=True):
        first, other = named(paths[0], paths), named(path, paths)
        for name in [*found[0], *columns]:
            if name not in columns or name not in found[0]:
                lacks, has = (other, first) if name not in columns else (first, other)
                raise Unreadable(
                    f"the file {lacks} has no column {name}, and {has} has: the files of a source must have "
                    "the same columns"
                )
            if columns[name] != found[0][name]:
                raise Unreadable(
                    f"the column {name} of the file {other} is {columns[name]}, and in {first} it is "
                    f"{found[0][name]}: the files of a source must have the same types"
                )
        if ordered and list(columns) != list(found[0]):
            name = next(one for one, two in zip(columns, found[0], strict=True) if one != two)
            raise Unreadable(
                f"the column {name} of the file {other} is at another place than in {first}: the files of a "
                "source must have the same columns in the same order"
            )


def _once(columns: list[tuple[str, str]], path: Path, paths: Sequence[Path]) -> dict[str, str]:
    """Refuse two columns whose names differ in case alone: the engine would rename one of them silently."""
    seen: set[str] = set()
    for name, _ in columns:
        if name.lower() in seen:
            where = f" in the file {named(path, paths)}" if len(paths) > 1 else ""
            raise Unreadable(f"the source has the column {name} twice{where}")
        seen.add(name.lower())
    return dict(columns)


def _parquet_columns(
    path: Path, paths: Sequence[Path], connection: duckdb.DuckDBPyConnection
) -> dict[str, str]:
    nodes = iter(
        connection.execute(
            "SELECT name, coalesce(num_children, 0), concat_ws(' ', type, converted_type, logical_type, "  # noqa: S608
            f"precision, scale) FROM parquet_schema({literal(str(path))})"
        ).fetchall()
    )
    columns = []
    _, several, _ = next(nodes, ("", 0, ""))
    for _ in range(several):
        name, inner, kind = next(nodes, ("", 0, ""))
        # The tree is written depth first: what a column is made of follows it.
        while inner:
            _, more, part = next(nodes, ("", 0, ""))
            inner, kind = inner + more - 1, f"{kind} of {part}"
        columns.append((name, kind))
    return _once(columns, path, paths)


def _arrow_schema(path: Path) -> Any:
    import pyarrow
    import pyarrow.ipc

    try:
        with pyarrow.OSFile(str(path)) as file:
            return pyarrow.ipc.open_file(file).schema
    except (pyarrow.ArrowException, OSError):
        raise Unreadable(
            f"the file {path.name} is no Arrow IPC file: the streaming format has no footer, and is not read"
        ) from None


def _arrow_columns(path: Path, paths: Sequence[Path]) -> dict[str, str]:
    return _once([(field.name, str(field.type)) for field in _arrow_schema(path)], path, paths)


def _check_lines(path: Path, paths: Sequence[Path]) -> None:
    """Refuse blank lines where a cell is a line: nobody can tell whether they are rows."""
    which = f"file {named(path, paths)}" if len(paths) > 1 else "file"
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip(b" \r\n"):
                    raise Unreadable(
                        f"line {number} of the {which} is blank, and in a file of one column that could be "
                        "an unknown cell or no row: remove it, or write a word for unknown and name it so",
                        reason="a line of the file is blank",
                    )
    except OSError:
        raise _not_text() from None


def _header(source: CsvSource, path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            first = file.readline(_MOST_HEADER_BYTES).decode("utf-8-sig")
        names = next(csv.reader([first], delimiter=source.delimiter), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        raise _not_text() from None
    names = [name.strip(" \t") for name in names]
    lower = [name.lower() for name in names]
    if not all(lower) or len(set(lower)) != len(lower):
        raise Unreadable("the first line does not name each column once")
    return names


def _not_text() -> Exception:
    return Unreadable("the file is not there, or cannot be read as text")
