"""Where a question on the command line comes from: an argument, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from kapok.errors import InvalidInput, NotFound

__all__ = ["question_of"]

_STANDARD_INPUT: Final = "-"
# No question is as long. What is longer is no question, and need not be read to its end.
_MOST_BYTES: Final = 2**20


def question_of(sql: str | None, file: Path | None) -> str:
    """The question's text.

    Args:
        sql: As the argument has it; ``-`` stands for standard input.
        file: Where it is to be read from instead; ``-`` stands for standard input.

    Raises:
        click.UsageError: both are given, or none.
        NotFound: ``no_question_file``.
        InvalidInput: ``bad_question_file`` when it cannot be read, is too long or no UTF-8 text.
    """
    if (sql is None) == (file is None):
        raise click.UsageError('give one question: "SELECT …", --file FILE, or - to read standard input')
    if sql is not None:
        return _text("standard input", _from_standard_input()) if sql == _STANDARD_INPUT else sql
    if str(file) == _STANDARD_INPUT or file is None:
        return _text("standard input", _from_standard_input())
    return _text(str(file), _from_file(file))


def _from_standard_input() -> bytes:
    return sys.stdin.buffer.read(_MOST_BYTES + 1)


def _from_file(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(
            f"there is no file {file}", code="no_question_file", remedy="name the file that has the question"
        ) from None
    except OSError as error:
        raise _bad(str(file), error.strerror or "it cannot be read") from None


def _text(name: str, content: bytes) -> str:
    if len(content) > _MOST_BYTES:
        raise _bad(name, f"it is longer than {_MOST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad(name, "it is not UTF-8 text") from None


def _bad(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"the question cannot be read from {name}: {why}",
        code="bad_question_file",
        remedy="give one SELECT as text",
    )
