"""What goes to stdout and stderr, and with which exit status.

Answers go to stdout; progress, notices and errors to stderr: `kapok … --json > file` holds one document.
Nothing here lets a control character through to a terminal; text of another party, whose line breaks would
forge lines, is made `plain` by whoever prints it inside of a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import typer

from kapok.cli.hints import pasteable
from kapok.errors import InternalError, InvalidInput, KapokError, Unavailable, plain, plain_json, plain_lines

__all__ = [
    "DEBUG_VARIABLE",
    "INTERRUPTED",
    "Interrupted",
    "as_document",
    "confirmed",
    "note",
    "print_json",
    "print_table",
    "report",
    "report_interrupt",
    "report_usage",
    "say",
    "say_as_it_stands",
    "when",
]

DEBUG_VARIABLE: Final = "KAPOK_DEBUG"
_PIPED_WIDTH: Final = 200
INTERRUPTED: Final = 130
"""The exit status of whoever was stopped by Ctrl-C."""


class Interrupted(Exception):
    """Ctrl-C while a question was under way.

    Attributes:
        message: What has become of the question.
        job_id: Of its job; empty when there is none.
    """

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        self.message = message
        self.job_id = job_id


def say(text: str) -> None:
    """Print a line of the answer."""
    _write(plain_lines(pasteable(text)))


def say_as_it_stands(text: str) -> None:
    """Print a line with what somebody has written, of which nothing is made a hint."""
    _write(plain_lines(text))


def note(text: str) -> None:
    """Print a line beside the answer."""
    sys.stderr.write(plain_lines(pasteable(text)) + "\n")
    sys.stderr.flush()


def print_json(document: Any) -> None:
    """Print the one JSON document of a command. Decimals are numbers with all their digits."""
    import msgspec

    encoded = msgspec.json.Encoder(decimal_format="number").encode(document)
    _write(plain_json(msgspec.json.format(encoded, indent=2).decode()))


def confirmed(question: str) -> bool:
    """Ask something, on stderr.

    Raises:
        InvalidInput: ``not_confirmed``: nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise InvalidInput(
            "nobody is there to ask: this is no terminal",
            code="not_confirmed",
            remedy="say it at a terminal, or with --yes",
        )
    return typer.confirm(question, err=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", right: Iterable[int] = ()
) -> None:
    """Print a table, as wide as the terminal, or wide enough when there is none.

    Args:
        columns: Headings.
        rows: Cells; None is shown as nothing.
        title: Above the table.
        right: Indices of columns that are aligned right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    on_the_right = set(right)
    for index, column in enumerate(columns):
        table.add_column(
            Text(plain(column)), justify="right" if index in on_the_right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    with console.capture() as printed:
        console.print(table)
    # As it is: rich may have put styles of its own into it.
    _write("\n".join(line.rstrip() for line in printed.get().rstrip().splitlines()))


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def shown(cell: object) -> str:
    """A cell for people, on one line."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case float():
            return f"{cell:.12g}"
        case Decimal():
            return f"{cell:f}"
        case _:
            return plain(str(cell))


def when(seconds: float) -> str:
    """A time, seconds since the epoch, for people: in this machine's time zone, which it names.

    Times that others told, or that a damaged file has, may be none.
    """
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "at no time"


def as_document(error: KapokError) -> dict[str, Any]:
    """An error as part of a JSON document."""
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "message": pasteable(error.message),
        "remedy": pasteable(error.remedy) if error.remedy else None,
        "clause": error.clause,
        "party": error.party,
        "retry_after_s": error.retry_after_s if isinstance(error, Unavailable) else None,
    }


def report(error: BaseException, *, as_json: bool) -> int:
    """Tell on stderr what went wrong.

    Args:
        error: What ended the command.
        as_json: As a JSON object.

    Returns:
        The exit status.
    """
    if not isinstance(error, KapokError):
        error = _unexpected(error)
    if as_json:
        note(json.dumps({"error": as_document(error), "exit_status": error.exit_status}, indent=2))
    else:
        note("error: " + error.diagnostics())
    return error.exit_status


def report_interrupt(stopped: Interrupted | None, *, as_json: bool) -> int:
    """Tell that Ctrl-C ended the command, and return the exit status.

    Args:
        stopped: What it ended, when that was a question.
        as_json: As the command's one JSON document, on stdout: it names the job as an answer would.
    """
    message = pasteable(stopped.message) if stopped else ""
    if as_json:
        detail = {"kind": "Interrupted", "code": "interrupted", "message": message or "interrupted"}
        job = stopped.job_id if stopped else ""
        print_json({"error": detail, "job": job or None, "exit_status": INTERRUPTED})
    else:
        note(f"{message}\ninterrupted" if message else "interrupted")
    return INTERRUPTED


def report_usage(message: str, usage: str, status: int, *, as_json: bool) -> int:
    """Tell on stderr that the command line was used wrongly; return the exit status."""
    if as_json:
        detail = {"kind": "UsageError", "code": "usage", "message": message, "remedy": usage}
        note(json.dumps({"error": detail, "exit_status": status}, indent=2))
    else:
        note(f"{usage}\n\nerror: {message}" if usage else f"error: {message}")
    return status


def _unexpected(error: BaseException) -> InternalError:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        note("".join(traceback.format_exception(error)))
    return InternalError(
        f"something unexpected happened: {type(error).__name__}",
        remedy=f"set {DEBUG_VARIABLE}=1 to see where, and report it",
    )
