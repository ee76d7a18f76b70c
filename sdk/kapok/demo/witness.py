"""Looks over the broker's shoulder: a sample of what lies in its database while a question is under way.

Sealed vectors are deleted as soon as they are folded, so it has to look often. It only reads.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["Sample", "Witness"]

_PAUSE_S: Final = 0.004
_SAMPLE_BYTES: Final = 32
_LOOKS: Final = (
    (
        "a hospital's sealed vector",
        "SELECT body FROM sealed_chunk ORDER BY vector, number LIMIT 1",
    ),
    ("the sealed sum", "SELECT body FROM sum_chunk LIMIT 1"),
    ("a hospital's signed consent", "SELECT CAST(token AS BLOB) FROM consent LIMIT 1"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A piece of what the broker stored: what it is, its first bytes in hex, its whole length in bytes."""

    what: str
    hex: str
    size: int


class Witness:
    """Watches a database in a thread of its own. Use it in ``with``; `best` says what it saw."""

    def __init__(self, database: Path) -> None:
        """Know which database; nothing is read yet."""
        self._database = database
        self._seen: dict[str, Sample] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def best(self) -> Sample | None:
        """The most telling thing that it saw."""
        for what, _query in _LOOKS:
            if what in self._seen:
                return self._seen[what]
        return None

    def _watch(self) -> None:
        with suppress(sqlite3.Error), closing(self._open()) as connection:
            while not self._done.wait(_PAUSE_S):
                with suppress(sqlite3.OperationalError):
                    self._look(connection)

    def _open(self) -> sqlite3.Connection:
        uri = f"{self._database.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=0.1, isolation_level=None)

    def _look(self, connection: sqlite3.Connection) -> None:
        for what, query in _LOOKS:
            if what not in self._seen and (row := connection.execute(query).fetchone()):
                body = bytes(row[0])
                self._seen[what] = Sample(what, body[:_SAMPLE_BYTES].hex(), len(body))
