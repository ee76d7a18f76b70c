"""What kind of file it is, and how a node would be told to read it."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final

from kapok.errors import InvalidInput, NotFound, counted
from kapok.nodes.settings import ArrowSource, CsvSource, ParquetSource

__all__ = ["bad_file", "source_of"]

_DELIMITERS: Final = (",", ";", "\t", "|")
_MOST_LOOKED_AT: Final = 2**20
_MARKED: Final = ((b"PAR1", "Parquet", ParquetSource), (b"ARROW1", "Arrow", ArrowSource))
_PACKED: Final = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ")
_VALUE: Final = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?\Z|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}|[?]\Z")


def bad_file(path: Path, what: str, remedy: str) -> InvalidInput:
    """The error of a file of which no schema can be drafted."""
    return InvalidInput(f"{path} {what}", code="source_unreadable", remedy=remedy)


def source_of(
    path: Path, columns: tuple[str, ...], delimiter: str | None, nulls: tuple[str, ...]
) -> CsvSource | ParquetSource | ArrowSource:
    """Look at the file's beginning and say how a node reads it.

    Args:
        path: The file.
        columns: Names of a CSV file's columns; empty when its first line has them.
        delimiter: Of a CSV file; None to take the one that is most frequent in its first line.
        nulls: Cells of a CSV file that mean unknown.

    Raises:
        NotFound: ``no_such_file``.
        InvalidInput: ``source_unreadable``: a folder, empty, of another format, or without names of columns.
    """
    if path.is_dir():
        raise bad_file(path, "is a folder", "name one file")
    try:
        with path.open("rb") as file:
            start = file.read(_MOST_LOOKED_AT)
    except (OSError, ValueError) as error:
        raise NotFound(
            f"cannot read {path}: {getattr(error, 'strerror', None) or 'no such path'}",
            code="no_such_file",
            remedy="check path and permissions",
        ) from None
    if not start.strip():
        raise bad_file(path, "is empty", "name a file with a table")
    for mark, called, kind in _MARKED:
        if start.startswith(mark):
            if columns or delimiter or nulls:
                remedy = "leave out what is for CSV files: columns, delimiter, null words"
                raise bad_file(path, f"is {called}", remedy)
            return kind(path=path)
    if start.startswith(_PACKED):
        raise bad_file(path, "is compressed", "unpack it: a node reads it as it is")
    return _csv(path, _first_line(path, start), columns, delimiter, nulls)


def _first_line(path: Path, start: bytes) -> str:
    if b"\x00" in start:
        raise bad_file(path, "is neither text nor Parquet nor Arrow", "name a CSV, Parquet or Arrow file")
    first = start.split(b"\n", 1)[0]
    if len(first) == _MOST_LOOKED_AT:
        raise bad_file(
            path, "has no line ends, or a very long first line", "name a CSV, Parquet or Arrow file"
        )
    try:
        return first.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        raise bad_file(path, "is not UTF-8 text", "save it as UTF-8") from None


def _csv(
    path: Path, first: str, columns: tuple[str, ...], delimiter: str | None, nulls: tuple[str, ...]
) -> CsvSource:
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InvalidInput("a delimiter is one character", code="bad_option", remedy='write for example ";"')
    delimiter = delimiter or max(_DELIMITERS, key=first.count)
    try:
        cells = [one.strip() for one in next(csv.reader([first], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        raise bad_file(path, "has a first line that is not CSV", "close its quotes") from None
    if columns:
        if len(columns) != len(cells):
            what = (
                f"has {counted(len(cells), 'cell')} in its first line, and {len(columns)} columns were named"
            )
            raise bad_file(path, what, "name each column, in the file's order, or another delimiter")
        lower = [name.lower() for name in columns]
    else:
        lower = [cell.lower() for cell in cells]
        if not cells or not all(cells) or any(map(_VALUE.match, cells)):
            raise bad_file(
                path,
                "does not begin with the names of its columns",
                "name them, in the file's order: --columns age,sex,…",
            )
    if len(set(lower)) != len(lower):
        raise bad_file(
            path, "has two columns of one name", "names differ in more than case: rename one of them"
        )
    return CsvSource(
        path=path, header=not columns, columns=columns or None, delimiter=delimiter, null=nulls or ("",)
    )
