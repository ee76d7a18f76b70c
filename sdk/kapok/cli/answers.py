"""Answers on the terminal and in files."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kapok.cli.terminal import note, print_json, print_table, say, shown
from kapok.errors import InvalidInput, counted

if TYPE_CHECKING:
    from kapok.client.result import Result

__all__ = ["check_out", "show_result", "write_result"]

_FORMATS: Final = (".csv", ".json", ".arrow", ".parquet")
_SUPPRESSED: Final = "suppressed"


def check_out(out: Path | None, formats: Collection[str] = _FORMATS) -> None:
    """Find out before anything is asked whether the answer can be written there.

    Args:
        out: The file; None for none.
        formats: The endings that say how to write it.

    Raises:
        InvalidInput: ``bad_out``.
    """
    if out is None:
        return
    if out.suffix not in formats:
        raise InvalidInput(
            f"{out} has no ending that says how to write it",
            code="bad_out",
            remedy="end it with one of " + ", ".join(formats),
        )
    if not out.absolute().parent.is_dir():
        raise InvalidInput(
            f"there is no folder {out.absolute().parent}",
            code="bad_out",
            remedy="make it, or name another file",
        )


def write_result(result: Result, out: Path) -> None:
    """Write an answer into a file that only its owner may read, in the format that its name ends with.

    Suppressed cells are empty. In CSV files a last column ``suppressed`` names them, row by row (with an
    underscore more where the answer has a column of that name), and HAVING where that could not be told of
    the row; the other formats say it in the answer's metadata.

    Raises:
        InvalidInput: ``bad_file``: it cannot be written.
    """
    from kapok.identity.keyfiles import replace_file

    match out.suffix:
        case ".arrow":
            result.save(out)
        case ".csv":
            replace_file(out, _as_csv(result))
        case ".json":
            replace_file(out, _as_json(result))
        case _:
            replace_file(out, _as_parquet(result))


def _as_csv(result: Result) -> bytes:
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    added = _SUPPRESSED
    while added in {name.lower() for name in result.columns}:
        added += "_"
    writer.writerow([*result.columns, added])
    for index, row in enumerate(result.rows):
        hidden = [name for name in result.columns if (index, name) in result.suppressed]
        hidden += ["HAVING"] if index in result.undecided else []
        writer.writerow([*(shown(cell) for cell in row), " ".join(hidden)])
    return text.getvalue().encode()


def _as_json(result: Result) -> bytes:
    import msgspec

    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(result.to_document())) + b"\n"


def _as_parquet(result: Result) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(result.to_arrow(), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def show_result(result: Result, *, json: bool, written: Path | None) -> None:
    """Show an answer, with who took part in it."""
    if json:
        document: dict[str, Any] = result.to_document()
        print_json(document | ({"written": str(written)} if written else {}))
        return
    if result.view is None:
        _show_table(result)
    else:
        say(str(result.view))
    who = ", ".join(sorted(party.organisation_name for party in result.parties))
    parties = counted(len(result.parties), "party", "parties")
    sealed = counted(result.bytes, "sealed byte")
    note(f"{parties}: {who} · {result.seconds:.2f} s · {sealed}")
    if written:
        note(f"written to {written}, which only you may read")


def _show_table(result: Result) -> None:
    numbers = [index for index, name in enumerate(result.columns) if result.is_number(name)]
    # A group's number is often a name: of a year, of a ward.
    measured = [index in numbers and not result.is_group(name) for index, name in enumerate(result.columns)]
    rows = [
        [
            _SUPPRESSED if (index, name) in result.suppressed else _grouped(cell) if wide else cell
            for name, cell, wide in zip(result.columns, row, measured, strict=True)
        ]
        for index, row in enumerate(result.rows)
    ]
    print_table(result.columns, rows, right=numbers)
    if result.suppressed:
        from kapok.client.result import SUPPRESSED_NOTE

        say(SUPPRESSED_NOTE)
    if result.undecided:
        say(result.undecided_note)


def _grouped(cell: object) -> object:
    """A number with its thousands told apart, and the digits that `shown` gives it."""
    if not isinstance(cell, int | float | Decimal):
        return cell
    whole, point, rest = shown(cell).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return sign + (f"{int(digits):,}" if digits.isdigit() else digits) + point + rest
