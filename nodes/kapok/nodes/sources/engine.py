"""DuckDB over one file: nothing else can be read, nothing written, no setting changed.

A connection lives for one question, so that an idle node holds no memory for it. External access is off but
for the one file, extensions are neither loaded nor fetched, the configuration is locked, and only a single
SELECT is run: the question's text was checked before (`kapok.computations`), and this is the second wall.
"""

from __future__ import annotations

import contextlib
import csv
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb

from kapok.errors import InvalidInput
from kapok.nodes.settings import CsvSource, EngineLimits, ParquetSource
from kapok.nodes.sources.cells import literal, quoted

__all__ = ["SourceEngine", "open_engine"]

_LINE: Final = re.compile(r"\bLine: (\d+)")
MEND_SOURCE: Final = "`kapok node check` says what is wrong: mend the file, or its section of node.toml"
_REASONS: Final = {
    "Expected Number of Columns": "another number of cells than columns",
    "not utf-8": "it is not UTF-8 text",
    "unterminated quote": "a quote is not closed",
    "reached an invalid state": "quotes or line ends are mixed",
}
_MOST_HEADER_BYTES: Final = 2**20
# The engine would read these as a pattern that stands for several files.
_PATTERN: Final = frozenset("*?[]{}")


class SourceEngine:
    """One open connection; implements the engine that `kapok.computations` asks for.

    Attributes:
        dialect: Name of the SQL dialect, as sqlglot spells it.
        relation: What stands after FROM to read the raw file.
        columns: The file's columns with the engine's types, in order; names compare without case.
    """

    dialect: str = "duckdb"

    def __init__(self, connection: duckdb.DuckDBPyConnection, relation: str, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self.relation = relation
        self.columns: dict[str, tuple[str, str]] = {}

    def fetch(self, select_sql: str) -> list[tuple[object, ...]]:
        """Run one SELECT.

        Raises:
            InvalidInput: ``source_unreadable``: without a word of what the engine said, for it quotes cells.
        """
        stopper = threading.Timer(self._timeout_s, self._connection.interrupt)
        stopper.daemon = True
        stopper.start()
        try:
            statements = self._connection.extract_statements(select_sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise InvalidInput(
                    "only one SELECT is run over the source", code="source_unreadable", remedy=MEND_SOURCE
                )
            return self._connection.execute(statements[0]).fetchall()
        except duckdb.Error as error:
            raise _unreadable(error) from None
        finally:
            stopper.cancel()

    def define(self, select_sql: str) -> None:
        """Make `source` stand for this SELECT over the raw file.

        Raises:
            InvalidInput: ``source_unreadable``.
        """
        try:
            self._connection.execute(f"CREATE OR REPLACE VIEW source AS {select_sql}")
        except duckdb.Error as error:
            raise _unreadable(error) from None


@contextlib.contextmanager
def open_engine(source: CsvSource | ParquetSource, limits: EngineLimits) -> Iterator[SourceEngine]:
    """Open the file for as long as the block runs.

    Raises:
        InvalidInput: ``source_unreadable``: there is no such file, or it is not of its format.
    """
    path = source.path.resolve()
    if _PATTERN & set(str(path)):
        # The settings look at the path as it is written; a link may lead to another.
        raise InvalidInput(
            "the file's real path has one of * ? [ ] { } in it", code="source_unreadable", remedy=MEND_SOURCE
        )
    relation = _csv(source, path) if isinstance(source, CsvSource) else _parquet(path)
    try:
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": limits.threads,
                "memory_limit": f"{limits.memory_mib}MiB",
                "temp_directory": "",  # nothing of the table is ever spilt to a disk
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
            },
        )
    except duckdb.Error:
        raise InvalidInput(
            "the engine does not start", code="source_unreadable", remedy=MEND_SOURCE
        ) from None
    try:
        try:
            connection.execute(f"SET allowed_paths = [{literal(str(path))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            if isinstance(source, ParquetSource):
                _check_names(connection, path)
            described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
        except duckdb.Error as error:
            raise _unreadable(error) from None
        engine = SourceEngine(connection, relation, limits.timeout_s)
        for name, kind, *_ in described:
            if engine.columns.setdefault(str(name).lower(), (str(name), str(kind))) != (name, kind):
                raise InvalidInput(
                    f"the source has the column {name} twice", code="source_unreadable", remedy=MEND_SOURCE
                )
        yield engine
    finally:
        connection.close()


def _csv(source: CsvSource, path: Path) -> str:
    """The table function that reads every cell as text and guesses nothing."""
    names = source.columns or _header(path, source.delimiter)
    if len(names) == 1 and "" in source.nulls:
        _check_lines(path)
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    nulls = ", ".join(map(literal, source.nulls))
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, compression = 'none', "
        f"columns = {{{types}}}, header = {str(source.header).lower()}, delim = {literal(source.delimiter)}, "
        f"quote = '\"', escape = '\"', nullstr = [{nulls}], strict_mode = true, hive_partitioning = false)"
    )


def _parquet(path: Path) -> str:
    # A folder named sex=1 must not stand for a column.
    return f"read_parquet({literal(str(path))}, hive_partitioning = false)"


def _check_names(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse two columns whose names differ in case alone: the engine would rename one of them silently."""
    nodes = iter(
        connection.execute(
            f"SELECT name, coalesce(num_children, 0) FROM parquet_schema({literal(str(path))})"  # noqa: S608
        ).fetchall()
    )
    _, columns = next(nodes, ("", 0))
    seen: set[str] = set()
    for _ in range(columns):
        name, inner = next(nodes, ("", 0))
        # The tree is written depth first: what a column is made of follows it.
        while inner:
            inner += next(nodes, ("", 0))[1] - 1
        if name.lower() in seen:
            raise InvalidInput(
                f"the source has the column {name} twice", code="source_unreadable", remedy=MEND_SOURCE
            )
        seen.add(name.lower())


def _check_lines(path: Path) -> None:
    """Refuse blank lines where a cell is a line: nobody can tell whether they are rows."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip(b" \r\n"):
                    raise InvalidInput(
                        f"line {number} of the file is blank, and in a file of one column that could be an "
                        "unknown cell or no row: remove it, or write a word for unknown and name it as null",
                        code="source_unreadable",
                        remedy=MEND_SOURCE,
                    )
    except OSError:
        raise _missing() from None


def _header(path: Path, delimiter: str) -> list[str]:
    try:
        with path.open("rb") as file:
            first = file.readline(_MOST_HEADER_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise _missing() from None
    try:
        names = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        raise _missing() from None
    names = [name.strip(" \t") for name in names]
    lower = [name.lower() for name in names]
    if not all(lower) or len(set(lower)) != len(lower):
        raise InvalidInput(
            "the first line does not name each column once", code="source_unreadable", remedy=MEND_SOURCE
        )
    return names


def _missing() -> InvalidInput:
    return InvalidInput(
        "the file is not there, or cannot be read as text", code="source_unreadable", remedy=MEND_SOURCE
    )


def _unreadable(error: duckdb.Error) -> InvalidInput:
    """What may be said: where, never what. The engine's own words quote the line."""
    if isinstance(error, duckdb.InterruptException):
        return InvalidInput(
            "the engine took too long",
            code="source_unreadable",
            remedy="give it more time: timeout_s under [engine] in node.toml",
        )
    said = str(error)
    line = _LINE.search(said)
    where = f"line {line[1]} of the file cannot be read" if line else "the engine cannot read the file so"
    reason = next((words for mark, words in _REASONS.items() if mark in said), type(error).__name__)
    return InvalidInput(f"{where} ({reason})", code="source_unreadable", remedy=MEND_SOURCE)


def select_list(parts: dict[str, str]) -> str:
    """``expression AS "name"`` for each."""
    return ", ".join(f"{expression} AS {quoted(name)}" for name, expression in parts.items())
