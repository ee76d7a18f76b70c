"""Structured logs: the standard library's `logging`, one JSON object per line, or the same as plain text.

Call ``logging.getLogger(__name__).info("job opened", extra={"job": job_id})``: what is given as `extra`
becomes keys of the object. What is done for one job or caller is done within `about`; every line that is
written meanwhile, whoever writes it, says of which. Of an exception only its class, code and the places in
the code are written: its text may hold values from somebody's data (an engine's cast error quotes the cell).
The same goes for Python's warnings, which take this way too.

What goes wrong each second is not told each second: `lasting`. `traces`, for OpenTelemetry, are an option
beside them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from kapok.errors import InvalidInput, KapokError, plain, plain_json

__all__ = ["JsonFormatter", "LogFormat", "LogLevel", "TextFormatter", "about", "configure", "told"]

LogLevel = Literal["debug", "info", "warning", "error"]
"""The levels that settings name, from most lines to fewest."""

LogFormat = Literal["json", "text"]
"""One JSON object per line, or one line of text."""

_about: ContextVar[dict[str, object] | None] = ContextVar("about", default=None)
_log = logging.getLogger(__name__)
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOISY: Final = ("alembic", "sqlalchemy", "grpc", "asyncio")


@contextlib.contextmanager
def about(**known: object) -> Iterator[None]:
    """Whatever is logged within the block, also in tasks and threads that have its context, is of this.

    Args:
        known: Keys of the lines, ``job`` and ``party`` above all; what a line says itself comes first.
    """
    token = _about.set((_about.get() or {}) | known)
    try:
        yield
    finally:
        _about.reset(token)


def told(**known: object) -> None:
    """Say more of what the innermost `about` is of, once it is known; nothing outside of any."""
    current = _about.get()
    if current is not None:
        current.update(known)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (RFC 3339, UTC), level, logger, message, extra keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        return plain_json(json.dumps(_entry(record), ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text: time, level and message, then the other keys as ``key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        entry = _entry(record)
        head = f"{entry.pop('time')} {entry.pop('level'):<7} {plain(entry.pop('message'))}"
        told_too = {key: value for key, value in entry.items() if key != "logger" and value not in (None, "")}
        return plain(" ".join([head, *(f"{key}={_word(value)}" for key, value in told_too.items())]))


_FORMATTERS: Final[dict[str, type[logging.Formatter]]] = {"json": JsonFormatter, "text": TextFormatter}


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says."""
    entry: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    for key, value in vars(record).items():
        if key not in _STANDARD and not key.startswith("_"):
            entry.setdefault(key, _plain(value))
    for key, value in (_about.get() or {}).items():
        entry.setdefault(key, _plain(value))
    if record.exc_info and record.exc_info[1] is not None:
        entry["exception"] = _exception(record.exc_info[1])
    return entry


def _word(value: object) -> str:
    """A value within a line of text: quoted where it is not one word."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


class _Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` installs and, when called again, replaces."""


def configure(stream: TextIO, level: int | str = logging.INFO, form: LogFormat = "json") -> None:
    """Send every log record at or above `level` to `stream`. Calling it again replaces all of that.

    Raises:
        InvalidInput: ``bad_log_level`` when the level is not one of the standard library's names.
    """
    if isinstance(level, str):
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            raise InvalidInput(
                f"{level!r} is not a log level",
                code="bad_log_level",
                remedy="use debug, info, warning, error or critical",
            )
        level = number
    handler = _Handler(stream)
    handler.setFormatter(_FORMATTERS[form]())
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _Handler):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    warnings.showwarning = _warned


def _warned(
    message: Warning | str,  # noqa: ARG001 - as below: Python gives them by name too
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Takes the place of what prints warnings to stderr."""
    _log.warning("a library warns", extra={"class": category.__name__, "at": f"{filename}:{lineno}"})


def _plain(value: object) -> object:
    """What JSON can hold as it is; anything else as its text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)


def _exception(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)
    found: dict[str, object] = {
        "class": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, KapokError):
        found |= {"code": error.code, "message": error.message}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        found["cause"] = _exception(cause)
    return found
