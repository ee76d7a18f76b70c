"""Structured logs: the standard library's `logging`, one JSON object per line.

Call ``logging.getLogger(__name__).info("job opened", extra={"job": job_id})``: what is given as `extra`
becomes keys of the object. Of an exception only its class, code and the places in the code are written: its
text may hold values from somebody's data (an engine's cast error quotes the cell). The same goes for Python's
warnings, which take this way too.
"""

from __future__ import annotations

import json
import logging
import traceback
import warnings
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from kapok.errors import InvalidInput, KapokError, plain_json

__all__ = ["JsonFormatter", "LogLevel", "configure"]

LogLevel = Literal["debug", "info", "warning", "error"]
"""The levels that settings name, from most lines to fewest."""

_log = logging.getLogger(__name__)
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOISY: Final = ("alembic", "sqlalchemy", "grpc", "asyncio")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (RFC 3339, UTC), level, logger, message, extra keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD and not key.startswith("_"):
                entry.setdefault(key, _plain(value))
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = _exception(record.exc_info[1])
        return plain_json(json.dumps(entry, ensure_ascii=False))


class _Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` installs and, when called again, replaces."""


def configure(stream: TextIO, level: int | str = logging.INFO) -> None:
    """Send every log record at or above `level` to `stream`. Calling it again replaces stream and level.

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
    handler.setFormatter(JsonFormatter())
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
