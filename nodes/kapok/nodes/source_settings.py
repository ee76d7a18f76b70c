"""``[datasets.NAME.source]`` of ``node.toml``: where a table lies, and how its holder wants it read.

Everything here is the holder's own word: the question of an analyst adds nothing to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias

import msgspec
import sqlglot
from sqlglot import exp

__all__ = [
    "ArrowSource",
    "CsvSource",
    "FileSource",
    "OnFault",
    "ParquetSource",
    "PostgresSource",
    "QuerySource",
    "Source",
    "SourceSettings",
    "check_source",
    "places",
]

OnFault = Literal["refuse", "missing", "clip"]
"""What becomes of a cell that breaks the schema: no table with it is used, it is null, or it is the bound."""

SINGLE: Final = "kapok held"
"""The name under which the engine knows the files of a source that has no tables of its own."""

_TABLE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_RESERVED: Final = frozenset({"source"})
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MOST_TABLES: Final = 50
_MOST_SQL: Final = 100_000


class Source(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="format",
):
    """What every source may have.

    Attributes:
        filter: A condition in the source's SQL: rows for which it is not true are not there.
        rename: For a column of the schema its name in the source, where that is another.
        on_fault: What becomes of a cell that is not what the schema says.
        on_fault_in: The same for single columns of the schema.
    """

    filter: str = ""
    rename: dict[str, str] = {}
    on_fault: OnFault = "refuse"
    on_fault_in: dict[str, OnFault] = {}

    def definition(self) -> bytes:
        """What of this decides which values are read: part of the data's version. No path is in it."""
        return msgspec.json.encode(self, order="sorted", enc_hook=_unsaid)


class FileSource(Source, frozen=True):
    """A table in files of one format.

    Attributes:
        path: A file, a folder whose files of this format are meant, or a pattern with ``*``, ``?``, ``[…]``
            or ``**``.
    """

    path: Path
    endings: ClassVar[tuple[str, ...]] = ()

    def files(self) -> tuple[Path, ...]:
        """The files that are meant and there now: real paths, sorted, each once."""
        found: Iterator[Path]
        if self.path.is_dir():
            found = (one for ending in self.endings for one in self.path.glob(f"*{ending}"))
        elif self.path.exists():
            found = iter((self.path,))
        else:
            root = Path(self.path.anchor or ".")
            found = root.glob(str(self.path.relative_to(root) if self.path.anchor else self.path))
        found = (one for one in found if not one.name.startswith(".") or one == self.path)
        return tuple(sorted({one.resolve() for one in found if one.is_file()}))


class CsvSource(FileSource, frozen=True, tag="csv"):
    """Text files, one row a line; every cell is read as text and cast by the schema, strictly."""

    header: bool = True
    columns: tuple[str, ...] | None = None
    delimiter: str = ","
    null: str | tuple[str, ...] = ""
    endings: ClassVar[tuple[str, ...]] = (".csv",)

    @property
    def nulls(self) -> tuple[str, ...]:
        """The cells that mean unknown."""
        return (self.null,) if isinstance(self.null, str) else self.null


class ParquetSource(FileSource, frozen=True, tag="parquet"):
    """Parquet files."""

    endings: ClassVar[tuple[str, ...]] = (".parquet",)


class ArrowSource(FileSource, frozen=True, tag="arrow"):
    """Arrow IPC files (Feather version 2), with a footer; not the streaming format."""

    endings: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc")


class QuerySource(Source, frozen=True, tag="query"):
    """The holder's own SELECT over files: a view, or a join inside the domain.

    Attributes:
        query: In DuckDB's SQL. It can read `tables` and nothing else.
        tables: The files, by the name that they have in the query.
    """

    query: str
    tables: dict[str, CsvSource | ParquetSource | ArrowSource]


class PostgresSource(Source, frozen=True, tag="postgresql"):
    """A relation of a PostgreSQL database, or the holder's own SELECT there.

    Attributes:
        url_env: Name of the environment variable that holds the URL, with the password.
        url_file: A file that holds it instead, of mode 0600.
        relation: Table or view, ``name`` or ``schema.name``, as it is written in the catalogue.
        query: A SELECT in PostgreSQL's SQL, in place of a relation.
        connect_timeout_s: A server that does not take a connection for so long is not there.
    """

    url_env: str = ""
    url_file: Path | None = None
    relation: str = ""
    query: str = ""
    connect_timeout_s: int = 10


SourceSettings: TypeAlias = CsvSource | ParquetSource | ArrowSource | QuerySource | PostgresSource


def _unsaid(_: object) -> None:
    """Stands for a path: where the data lie does not change what they are."""


def places(source: SourceSettings) -> frozenset[str]:
    """Names of what the source reads, by which two datasets over the same data are noticed."""
    match source:
        case FileSource():
            return frozenset(map(str, (source.path.resolve(), *source.files())))
        case QuerySource():
            return frozenset().union(*map(places, source.tables.values()))
        case PostgresSource():
            server = source.url_env or source.url_file
            return frozenset(f"postgresql {server} {relation}" for relation in _relations(source))


def _relations(source: PostgresSource) -> set[str]:
    """Their names with their schema; of a query those that it reads, or itself where that is unclear."""
    if source.relation:
        return {source.relation if "." in source.relation else f"public.{source.relation}"}
    try:
        tree = sqlglot.parse_one(source.query, read="postgres")
    except (sqlglot.ParseError, sqlglot.TokenError, ValueError, RecursionError):
        return {" ".join(source.query.split())}
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = [table for table in tree.find_all(exp.Table) if table.db or table.name not in own]
    return {f"{table.db or 'public'}.{table.name}" for table in tables}


def check_source(source: SourceSettings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a source as it is written: key, what, remedy; looks at no file."""
    yield from _check_common(source)
    match source:
        case CsvSource():
            yield from _check_csv(source)
        case QuerySource():
            yield from _check_tables(source)
        case PostgresSource():
            yield from _check_postgres(source)
        case _:
            pass


def _check_common(source: Source) -> Iterator[tuple[str, str, str]]:
    for key, text in (("filter", source.filter), ("query", getattr(source, "query", ""))):
        if len(text) > _MOST_SQL or "\0" in text:
            yield key, "is too long or has a null character", f"write at most {_MOST_SQL} characters of SQL"
    names = [name.lower() for name in source.rename.values()]
    if not all(names) or len(set(names)) != len(names):
        yield "rename", "names a column of the source twice, or none", "give each column one of its own"


def _check_csv(source: CsvSource) -> Iterator[tuple[str, str, str]]:
    if not source.header and not source.columns:
        yield "columns", "is missing", "without header, list the columns in the file's order"
    names = [name.lower() for name in source.columns or ()]
    if len(set(names)) != len(names):
        yield "columns", "names a column twice", "give each column a name of its own"
    if len(source.delimiter) != 1 or source.delimiter in '"\r\n':
        yield "delimiter", "is not one character", 'write for example ","'
    if len(source.nulls) > 20:
        yield "null", "lists too many texts", "list at most 20"


def _check_tables(source: QuerySource) -> Iterator[tuple[str, str, str]]:
    if not source.query.strip():
        yield "query", "is empty", "write a SELECT over the tables"
    if not 0 < len(source.tables) <= _MOST_TABLES:
        yield "tables", "names no table or too many", f"name 1 to {_MOST_TABLES} tables"
    for name, table in source.tables.items():
        if not _TABLE.match(name) or name in _RESERVED:
            yield f"tables.{name}", "is not a name for a table", "use a-z 0-9 _, and not source"
        if table.filter or table.rename or table.on_fault != "refuse" or table.on_fault_in:
            remedy = "filter and rename in the query; on_fault is for all of its result"
            yield f"tables.{name}", "has filter, rename or on_fault of its own", remedy
        for key, what, remedy in check_source(table):
            yield f"tables.{name}.{key}", what, remedy


def _check_postgres(source: PostgresSource) -> Iterator[tuple[str, str, str]]:
    if bool(source.url_env) == (source.url_file is not None):
        yield "url_env", "and url_file: give one of the two", "keep the URL in one place"
    if source.url_env and not _VARIABLE.match(source.url_env):
        # Who wrote the URL itself here must not find it in an error, and from there in a log.
        yield "url_env", "is not the name of a variable", "write the variable's name; never the URL itself"
    if bool(source.relation.strip()) == bool(source.query.strip()):
        yield "relation", "and query: give one of the two", "name a relation, or write a SELECT"
    if len(parts := source.relation.split(".")) > 2 or (source.relation and not all(parts)):
        yield "relation", "is not a name", 'write "name" or "schema.name"; for other names write a query'
    if not 1 <= source.connect_timeout_s <= 300:
        yield "connect_timeout_s", "is out of range", "write a number from 1 to 300"
