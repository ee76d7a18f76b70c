"""A relation of a PostgreSQL database: the local half of a question runs in the server.

Each reading is one transaction, READ ONLY and REPEATABLE READ: the version, the check and the answer see one
snapshot, whatever is written meanwhile. ``source`` is a common table expression before the question's SELECT,
put there in the tree that sqlglot parses, never in its text: a temporary view would be a write, and a standby
takes none. What the server runs is that one SELECT, which may name no relation but ``source``.

The version is a digest that the server computes in the same snapshot, as
docs/decisions/0016-postgresql-version.md explains.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import sqlglot
import sqlglot.dialects.postgres  # here, as in `files`, and not in the thread of the first question
from sqlglot import exp

from kapok.nodes.settings import EngineLimits, PostgresSource
from kapok.nodes.sources.engine import ROW, SourceEngine, Unreadable
from kapok.nodes.sources.postgres_session import Session, server_url
from kapok.nodes.sources.spelling import POSTGRES, SourceColumn, literal, quoted
from kapok.nodes.sources.version import VersionKey

__all__ = ["PostgresEngine", "Server"]

_SOURCE: Final = "source"
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LEAST_VERSION: Final = 140_000
_ABOUT_SERVER: Final = (
    "SELECT current_setting('server_encoding'), CAST(current_setting('server_version_num') AS INTEGER), "
    "(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)"
)
_ABOUT_TABLE: Final = (
    "SELECT CAST(relkind AS TEXT), relrowsecurity, CAST(pg_postmaster_start_time() AS TEXT), "
    "CAST(current_database() AS TEXT), CAST(current_user AS TEXT), CAST(pg_current_snapshot() AS TEXT) "
    "FROM pg_catalog.pg_class WHERE oid = to_regclass"
)
_ENUMS: Final = "SELECT typname FROM pg_catalog.pg_type WHERE typtype = 'e'"
_TYPE: Final = b"POSTGRESQL:type"
_SUPERUSER: Final = (
    "the URL's user is a superuser of the database: give the node a user that may SELECT what it needs, "
    "and nothing else"
)


class PostgresEngine(SourceEngine):
    """One transaction at the server."""

    dialect: str = "postgres"
    spelling = POSTGRES

    def __init__(self, session: Session) -> None:
        super().__init__("")
        self._session = session
        self._definition = ""

    def run(self, select_sql: str) -> list[tuple[object, ...]]:
        """See `SourceEngine`."""
        table = self._session.fetch(select_sql)
        columns = [_values(table.schema.field(at), table.column(at)) for at in range(table.num_columns)]
        return list(zip(*columns, strict=True))

    def _answer(self, select_sql: str) -> list[tuple[object, ...]]:
        return self.run(with_source(select_sql, self._definition))

    def _stream(self, select_sql: str) -> Iterator[pa.RecordBatch]:
        return self._session.stream(with_source(select_sql, self._definition))

    def define(self, select_sql: str) -> None:
        """See `SourceEngine`."""
        self._definition = select_sql

    def check_whole(self) -> None:
        """See `SourceEngine`: there is nothing that one relation would not show in its cells."""

    def place(self, row: object) -> str:
        """See `SourceEngine`: a table's row by its ctid, another relation's by its number."""
        return str(row)

    def steady(self) -> bool:
        """See `SourceEngine`: a snapshot does not change."""
        return True


class Server:
    """A relation of a database, as one dataset reads it."""

    def __init__(
        self, source: PostgresSource, columns: Sequence[str], limits: EngineLimits, key: VersionKey
    ) -> None:
        """Nothing is opened yet.

        Args:
            source: From the settings.
            columns: Names in the source of what is read; a version is of these.
            limits: Of one question.
            key: For versions.
        """
        self._source = source
        self._columns = [name.lower() for name in columns]
        self._limits = limits
        self._key = key
        self._lock = threading.Lock()
        self._left: threading.Thread | None = None
        self._seen: tuple[object, bytes] | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[SourceEngine]:
        """Begin a transaction for as long as the block runs.

        Raises:
            Unreadable: the server is not there, does not answer, or does not let the relation be read.
        """
        with self._lock:
            if self._left is not None and self._left.is_alive():
                raise Unreadable("the server has still not answered an earlier question", "see that it runs")
        url = server_url(self._source, self._limits.timeout_s)
        session = Session(self._limits.timeout_s)
        try:
            session.connect(url, self._source.connect_timeout_s)
            yield self._begun(session)
        finally:
            session.close()
            if session.thread.is_alive():
                with self._lock:
                    self._left = session.thread

    def _begun(self, session: Session) -> PostgresEngine:
        engine = PostgresEngine(session)
        session.fetch(_BEGIN)
        is_table, mark = self._settle(engine)
        where = f" WHERE (\n{self._source.filter}\n)" if self._source.filter else ""
        held = f"(\n{self._source.query.strip().removesuffix(';')}\n)" if self._source.query else self._name()
        engine.relation = f"(SELECT * FROM {held} AS held{where}) AS kept"  # noqa: S608
        engine.unfiltered = f"{held} AS held" if where else ""
        self._describe(engine, session)
        if is_table:
            rows = f"SELECT CAST(ctid AS TEXT) AS {quoted(ROW)}, held.* FROM {held} AS held{where}"  # noqa: S608
        else:
            every = f"SELECT row_number() OVER () AS {quoted(ROW)}, held.* FROM {held} AS held"  # noqa: S608
            rows = f"SELECT * FROM ({every}) AS held{where}"  # noqa: S608
        engine.numbered = f"({rows}) AS numbered"
        engine.version = self._key.version(self._source.definition(), self._content(engine, mark))
        return engine

    def _name(self) -> str:
        return ".".join(map(quoted, self._source.relation.split(".")))

    def _settle(self, engine: PostgresEngine) -> tuple[bool, object]:
        """Settings for this transaction; whether the relation is a table; and the mark of its state.

        Two snapshots of one running server that are written alike see the same rows of a table: whatever
        changes one has a transaction number. It is not so for what a filter, a view, a foreign table or a
        row's policy may take from elsewhere, such as the time: there is no mark for these.
        """
        milliseconds = str(self._limits.timeout_s * 1000)
        wanted = {
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
            "extra_float_digits": "1",
            "datestyle": "ISO",
            "intervalstyle": "iso_8601",
            "timezone": "UTC",
            "standard_conforming_strings": "on",
        }
        pairs = (f"set_config({literal(name)}, {literal(value)}, true)" for name, value in wanted.items())
        engine.run(f"SELECT {', '.join(pairs)}")
        [(encoding, version, superuser)] = engine.run(_ABOUT_SERVER)
        if encoding != "UTF8":
            raise Unreadable(f"the database's encoding is {encoding}, not UTF8", "read a database in UTF8")
        if not isinstance(version, int) or version < _LEAST_VERSION:
            raise Unreadable("the server is older than PostgreSQL 14", "use a newer one")
        if superuser:
            engine.notes = (_SUPERUSER,)
        found = [] if self._source.query else engine.run(f"{_ABOUT_TABLE}({literal(self._name())})")
        if not found or found[0][0] not in ("r", "m"):
            return False, None
        (_, guarded, *mark) = found[0]
        return True, None if guarded or self._source.filter else tuple(mark)

    def _describe(self, engine: PostgresEngine, session: Session) -> None:
        schema = session.describe(f"SELECT * FROM {engine.relation}")  # noqa: S608
        columns = [
            POSTGRES.column(field.name, (field.metadata or {}).get(_TYPE, b"").decode()) for field in schema
        ]
        if any(column.kind == "other" for column in columns):
            enums = {name for (name,) in engine.run(_ENUMS)}
            columns = [
                SourceColumn(one.name, one.type, "text") if one.type in enums else one for one in columns
            ]
        engine.take_columns(columns)

    def _content(self, engine: PostgresEngine, mark: object) -> bytes:
        """A digest of the rows, whatever their order: sums of two hashes of each, in the server."""
        columns = [engine.columns[name] for name in self._columns if name in engine.columns]
        listed = tuple((column.name, column.type) for column in columns)
        with self._lock:
            if mark is not None and self._seen and self._seen[0] == (mark, listed):
                return self._seen[1]
        row = f"ROW({', '.join(map(_hashable, columns))})"
        sums = ", ".join(f"CAST(sum(hash_record_extended({row}, {seed})) AS TEXT)" for seed in (0, 1))
        found = engine.run(f"SELECT count(*), {sums} FROM {engine.relation}")  # noqa: S608
        digest = hashlib.sha256(repr((listed, found)).encode()).digest()
        with self._lock:
            self._seen = None if mark is None else ((mark, listed), digest)
        return digest


def with_source(select_sql: str, definition: str) -> str:
    """A question's SELECT with ``source`` defined before it.

    Raises:
        Unreadable: it is anything but one SELECT over ``source``.
    """
    try:
        [tree] = sqlglot.parse(select_sql, read="postgres")
    except (sqlglot.ParseError, sqlglot.TokenError, ValueError, RecursionError):
        tree = None
    if not isinstance(tree, exp.Query) or tree.find(exp.Insert, exp.Update, exp.Delete, exp.Merge):
        raise Unreadable("only one SELECT is run over the source")
    known = {_SOURCE, *(cte.alias for cte in tree.find_all(exp.CTE))}
    if any(table.db or table.catalog or table.name not in known for table in tree.find_all(exp.Table)):
        raise Unreadable("only the source is read")
    held = exp.CTE(this=exp.Var(this=definition), alias=exp.TableAlias(this=exp.to_identifier(_SOURCE)))
    if given := tree.args.get("with_") or tree.args.get("with"):
        given.set("expressions", [held, *given.expressions])
    else:
        tree.set("with_" if "with_" in tree.arg_types else "with", exp.With(expressions=[held]))
    return tree.sql(dialect="postgres")


def _hashable(column: SourceColumn) -> str:
    """The cell as something that PostgreSQL hashes, bytes for texts: a collation may call two texts equal."""
    raw = quoted(column.name)
    return POSTGRES.text(raw) if column.kind in ("text", "other") else raw


def _values(field: Any, column: Any) -> list[object]:
    values: list[object] = column.to_pylist()
    if (field.metadata or {}).get(_TYPE) == b"numeric":
        # The driver hands these over as text.
        return [None if value is None else _number(str(value)) for value in values]
    return values


def _number(text: str) -> int | Decimal:
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)
