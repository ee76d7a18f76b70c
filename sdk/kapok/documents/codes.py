"""Domains that a schema file takes from a file of codes: the document carries the codes, not the file.

In a column's table of the schema, ``domain_file = "carriers.csv"`` stands in place of ``domain``, and
``domain_column = "carrier"`` where the codes are one column of a CSV file with a header. Without it each line
is a code. Only files in the schema's own folder, or below it, are read, for what is in them becomes public: a
schema that came from somebody else must not publish other files of whoever publishes it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kapok.documents.columns import MOST_DOMAIN, TEXT_REMEDY, bad_dataset, text_fault
from kapok.errors import InvalidInput, NotFound, near, plain

__all__ = ["fill_domain"]

_MOST_BYTES: Final = 2**24
_INTEGER: Final = re.compile(r"(0|-?[1-9][0-9]{0,17})\Z")


def fill_domain(column: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The column's table with the codes in place of the file's name; as it is where it names no file.

    Args:
        column: One of ``[[columns]]``, as TOML reads it.
        folder: Where the schema lies.

    Raises:
        NotFound: ``no_such_file``.
        InvalidInput: ``bad_dataset``, naming file and line.
    """
    if "domain_file" not in column and "domain_column" not in column:
        return column
    rest = {key: value for key, value in column.items() if key not in ("domain_file", "domain_column")}
    name, file, header = (column.get(key) for key in ("name", "domain_file", "domain_column"))
    if not isinstance(file, str) or not isinstance(header, str | None):
        raise bad_dataset(
            f"column {name} has a domain_file or domain_column that is not a text, or the latter alone",
            'write domain_file = "codes.csv", and if it has several columns domain_column = "code"',
        )
    if "domain" in column:
        raise bad_dataset(f"column {name} has a domain and a domain_file", "keep one of the two")
    path = _inside(folder, file)
    codes = _codes(path, file, str(name), header)
    if column.get("type") == "integer":
        return rest | {"domain": [_whole(file, line, code) for code, line in codes.items()]}
    return rest | {"domain": list(codes)}


def _inside(folder: Path, file: str) -> Path:
    path = folder / file
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        raise bad_dataset(
            f"the file of codes {plain(file)} is not in the schema's folder, or cannot be found",
            "put it beside the schema and write its name: what is in it becomes public",
        )
    return path


def _read(path: Path, file: str) -> str:
    try:
        with path.open("rb") as opened:
            raw = opened.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise NotFound(
            f"cannot read the file of codes {path}: {getattr(error, 'strerror', None) or 'no such path'}",
            code="no_such_file",
            remedy="its path is taken from the folder of the schema: check path and permissions",
        ) from None
    if len(raw) > _MOST_BYTES:
        raise _bad(file, "is too large", f"a domain has at most {MOST_DOMAIN} codes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad(file, "is not UTF-8 text", "save it as UTF-8") from None


def _codes(path: Path, file: str, name: str, header: str | None) -> dict[str, int]:
    """Each code with the number of its line, in the file's order."""
    text = _read(path, file)
    if header is not None or path.suffix.lower() == ".csv":
        found = _cells(text, file, name, header)
    else:
        # Not splitlines, which takes other characters than line ends for one.
        found = ((line, code.rstrip("\n")) for line, code in enumerate(io.StringIO(text, newline=None), 1))
    codes: dict[str, int] = {}
    for line, code in found:
        if not code:
            continue
        if (fault := text_fault(code)) or code != code.strip():
            what = fault or "that begins or ends with a space"
            raise _bad(file, f"has in line {line} a text {what}", TEXT_REMEDY)
        if earlier := codes.get(code):
            raise _bad(file, f"has in line {line} the code of line {earlier} again", "list each once")
        codes[code] = line
        if len(codes) > MOST_DOMAIN:
            raise _bad(file, "has too many codes", f"a domain has at most {MOST_DOMAIN}")
    if not codes:
        raise _bad(file, "has no codes", "write one in each line")
    return codes


def _cells(text: str, file: str, name: str, header: str | None) -> Iterator[tuple[int, str]]:
    """The cells of one column of a CSV file, with the numbers of their lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        first = next(reader, [])
        place = _place(first, file, name, header)
        if header is None:
            yield 1, first[0] if first else ""
        for row in reader:
            if row and len(row) != len(first):
                what = f"has in line {reader.line_num} another number of cells than in its first line"
                raise _bad(file, what, "mend the line, or put quotes around a code with a comma")
            yield reader.line_num, row[place] if row else ""
    except csv.Error:
        raise _bad(file, f"cannot be read as CSV in line {reader.line_num}", "mend the line") from None


def _place(first: list[str], file: str, name: str, header: str | None) -> int:
    names = [cell.strip() for cell in first]
    known = ", ".join(plain(one) for one in names[:20])
    if header is None:
        if len(first) > 1:
            raise _bad(file, "has several columns", f"write domain_column, one of {known}")
        if names and names[0].casefold() == name.casefold():
            raise _bad(
                file, "begins with the column's name", f'if that is a header, write domain_column = "{name}"'
            )
        return 0
    if names.count(header) != 1:
        meant = near(header, names)
        remedy = "did you mean " + " or ".join(meant) + "?" if meant else f"its columns are {known}"
        raise _bad(file, f"has {'no' if header not in names else 'more than one'} column {header!r}", remedy)
    return names.index(header)


def _whole(file: str, line: int, code: str) -> int:
    if not _INTEGER.match(code):
        what = f"has in line {line} a code that is not written as an integer is"
        raise _bad(file, what, 'if the codes are texts, like 007, write type = "text"')
    return int(code)


def _bad(file: str, what: str, remedy: str) -> InvalidInput:
    return bad_dataset(f"the file of codes {plain(file)} {what}", remedy)
