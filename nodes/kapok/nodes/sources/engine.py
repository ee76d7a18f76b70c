"""What the check and a question need of an engine that stands beside a table, whichever it is."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kapok.errors import InvalidInput
from kapok.nodes.sources.spelling import SourceColumn, Spelling, quoted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MEND_SOURCE", "ROW", "SourceEngine", "Unreadable", "select_list"]

MEND_SOURCE: Final = "`kapok node check` says what is wrong: mend the source, or its section of node.toml"

ROW: Final = "kapok row"
"""The column by which `SourceEngine.numbered` names a row."""


class Unreadable(InvalidInput):
    """A source that cannot be used, or not so: ``source_unreadable``.

    Attributes:
        reason: The message as a log may have it, for more people read it: no path, no number.
    """

    def __init__(self, what: str, remedy: str = MEND_SOURCE, *, reason: str = "") -> None:
        super().__init__(what, code="source_unreadable", remedy=remedy)
        self.reason = reason or what


class SourceEngine(abc.ABC):
    """One open connection; implements the engine that `kapok.computations` asks for.

    Attributes:
        dialect: Name of the SQL dialect, as sqlglot spells it.
        spelling: How this engine says what cells need.
        relation: What stands after FROM to read the source with the holder's filter, but as it is.
        numbered: The same with the column `ROW` before the others, by which `place` finds a row.
        unfiltered: As `relation`, without the holder's filter; empty where there is none.
        columns: The source's columns by their names in lower case.
        version: Of the data, 64 hexadecimal digits.
        failure: What has gone wrong in a question, for the holder's own log; empty when nothing has.
        notes: What the holder should know of the source, though it can be read.
    """

    dialect: str
    spelling: Spelling

    def __init__(self, version: str) -> None:
        self.version = version
        self.relation = self.numbered = self.unfiltered = ""
        self.columns: dict[str, SourceColumn] = {}
        self.failure = ""
        self.notes: tuple[str, ...] = ()

    def fetch(self, select_sql: str) -> list[tuple[object, ...]]:
        """Run the one SELECT that a question was made into, over the relation ``source``.

        Raises:
            Unreadable: without a word of what the engine said, for it quotes cells.
        """
        try:
            return self._answer(select_sql)
        except Unreadable as error:
            self.failure = error.reason
            raise

    def batches(self, select_sql: str) -> Iterator[pa.RecordBatch]:
        """As `fetch`, a few thousand rows at a time. Nothing else may be asked until the last is taken.

        Raises:
            Unreadable: as `fetch`, at any batch.
        """
        try:
            yield from self._stream(select_sql)
        except Unreadable as error:
            self.failure = error.reason
            raise

    @abc.abstractmethod
    def _answer(self, select_sql: str) -> list[tuple[object, ...]]:
        """Run a question, behind every wall."""

    @abc.abstractmethod
    def _stream(self, select_sql: str) -> Iterator[pa.RecordBatch]:
        """As `_answer`, batch by batch."""

    @abc.abstractmethod
    def run(self, select_sql: str) -> list[tuple[object, ...]]:
        """Run a SELECT of the check's own over `relation` or `numbered`. Raises what `fetch` raises."""

    @abc.abstractmethod
    def define(self, select_sql: str) -> None:
        """Make ``source`` stand for this SELECT. Raises what `fetch` raises."""

    @abc.abstractmethod
    def check_whole(self) -> None:
        """Refuse what no single cell shows, such as files that do not agree.

        Raises:
            Unreadable: naming file and column.
        """

    @abc.abstractmethod
    def place(self, row: object) -> str:
        """In words where the row is whose `ROW` this is."""

    @abc.abstractmethod
    def steady(self) -> bool:
        """Whether the source still is what it was when this was opened."""

    def take_columns(self, columns: list[SourceColumn]) -> None:
        """Keep what was found.

        Raises:
            Unreadable: two columns have names that differ in case alone.
        """
        for column in columns:
            if self.columns.setdefault(column.name.lower(), column) is not column:
                raise Unreadable(f"the source has the column {column.name} twice")


def select_list(parts: dict[str, str]) -> str:
    """``expression AS "name"`` for each."""
    return ", ".join(f"{expression} AS {quoted(name)}" for name, expression in parts.items())
