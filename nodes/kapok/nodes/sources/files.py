"""DuckDB over the files that the settings name: nothing else can be read, no setting changed.

A connection lives for one question, and some seconds more for the next, as in a job of several rounds: an
idle node holds no memory for it. External access is off but for exactly these files, extensions are neither
loaded nor fetched, the configuration is locked, and only a single SELECT is run: the question's text was
checked before (`kapok.computations`), and this is the second wall. The holder's own filter and query stand
behind the same walls. Nothing is written, but what does not fit in memory, and that only where the settings
name a folder for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

# Not when they are first needed: questions have threads, and of two that import at the same time Python may
# give one a module that is not yet whole.
import pyarrow.compute
import pyarrow.dataset
import pyarrow.ipc
import sqlglot.dialects.duckdb  # noqa: F401

from kapok.identity.keyfiles import make_private_folder
from kapok.nodes.settings import ArrowSource, EngineLimits, QuerySource
from kapok.nodes.source_settings import SINGLE
from kapok.nodes.sources.engine import ROW, SourceEngine, Unreadable
from kapok.nodes.sources.formats import Files, arrow_dataset, check_agreement, named, scan
from kapok.nodes.sources.spelling import DUCKDB, literal, quoted
from kapok.nodes.sources.version import FileDigests, VersionKey

__all__ = ["FilesEngine", "Idle", "clear_spill", "open_files"]

_LINE: Final = re.compile(r"\bLine: (\d+)")
_REASONS: Final = {
    "Expected Number of Columns": "another number of cells than columns",
    "not utf-8": "it is not UTF-8 text",
    "unterminated quote": "a quote is not closed",
    "reached an invalid state": "quotes or line ends are mixed",
}
# The engine would read these as a pattern that stands for other files.
_PATTERN: Final = frozenset("*?[]{}")
_SPILL: Final = "kapok-spill-"
_MOST_FILES: Final = 10_000
_BATCH_ROWS: Final = 16_384
_IDLE_S: Final = 5.0
_INTERRUPTED: Final = "INTERRUPT Error"  # as a stream says it, which raises no error of the engine itself
_NO_ROOM: Final = ("max_temp_directory_size", "No space left", "Disk quota exceeded")
_MORE_ROOM: Final = "give the engine more: memory_mib, spill and spill_mib under [engine] in node.toml"
_KEPT, _NUMBERED = '"kapok kept"', '"kapok numbered"'


class FilesEngine(SourceEngine):
    """One DuckDB in memory over a source's files."""

    dialect: str = "duckdb"
    spelling = DUCKDB

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        version: str,
        tables: Mapping[str, tuple[Files, tuple[Path, ...]]],
        timeout_s: float,
        still: Callable[[], str],
    ) -> None:
        super().__init__(version)
        self._connection = connection
        self._tables = tables
        self._timeout_s = timeout_s
        self._still = still
        self._starts: list[tuple[int, Path]] | None = None
        self._defined = ""

    def reads(self, tables: Mapping[str, tuple[Files, tuple[Path, ...]]]) -> bool:
        """Whether it is over exactly these files, read so."""
        return self._tables == tables

    def run(self, select_sql: str) -> list[tuple[object, ...]]:
        """See `SourceEngine`."""
        stopper = threading.Timer(self._timeout_s, self._connection.interrupt)
        stopper.daemon = True
        stopper.start()
        try:
            return self._connection.execute(self._one_select(select_sql)).fetchall()
        except duckdb.Error as error:
            raise _said(error) from None
        finally:
            _stopped(stopper)

    _answer = run

    def _stream(self, select_sql: str) -> Iterator[pa.RecordBatch]:
        stopper = threading.Timer(self._timeout_s, self._connection.interrupt)
        stopper.daemon = True
        stopper.start()
        try:
            relation = self._connection.sql(self._one_select(select_sql).query)
            yield from relation.to_arrow_reader(_BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _said(error) from None
        finally:
            _stopped(stopper)

    def define(self, select_sql: str) -> None:
        """See `SourceEngine`."""
        if select_sql != self._defined:
            self._view("source", select_sql)
            self._defined = select_sql

    def check_whole(self) -> None:
        """See `SourceEngine`."""
        try:
            for table, paths in self._tables.values():
                check_agreement(table, paths, self._connection)
        except duckdb.Error as error:
            raise _said(error) from None

    def place(self, row: object) -> str:
        """See `SourceEngine`: rows are counted from 1 in each file, the header not counted."""
        number = int(str(row))
        if len(self._tables) != 1 or SINGLE not in self._tables or len(self._tables[SINGLE][1]) == 1:
            return str(number)
        start, path = next(one for one in reversed(self._row_starts()) if one[0] < number)
        return f"{number - start} of {named(path, self._tables[SINGLE][1])}"

    def _row_starts(self) -> list[tuple[int, Path]]:
        """For each file how many rows are in those before it."""
        if self._starts is None:
            table, paths = self._tables[SINGLE]
            self._starts, before = [], 0
            for path in paths:
                self._starts.append((before, path))
                if isinstance(table, ArrowSource):
                    before += arrow_dataset([path]).count_rows()
                else:
                    [(rows,)] = self.run(f"SELECT count(*) FROM {scan(table, [path])}")  # noqa: S608
                    before += int(str(rows))
        return self._starts

    def steady(self) -> bool:
        """See `SourceEngine`."""
        try:
            return self._still() == self.version
        except Unreadable:
            return False

    def take(self, query: str, filter_sql: str) -> None:
        """Make views of the tables, the holder's query and its filter.

        Raises:
            Unreadable: in the engine's words where they are about the holder's SQL.
        """
        try:
            for name, (table, paths) in self._tables.items():
                if isinstance(table, ArrowSource):
                    self._connection.register(name, arrow_dataset(paths))
                else:
                    self._view(quoted(name), f"SELECT * FROM {scan(table, paths)}")  # noqa: S608
            if query:
                self._view(quoted(SINGLE), query, "query")
            number = f"row_number() OVER () AS {quoted(ROW)}"
            where = f" WHERE (\n{filter_sql}\n)" if filter_sql else ""
            self._view(_KEPT, f"SELECT * FROM {quoted(SINGLE)}{where}", "filter")  # noqa: S608
            numbered = f"SELECT {number}, * FROM {quoted(SINGLE)}"  # noqa: S608
            self._view(_NUMBERED, f"SELECT * FROM ({numbered}){where}", "filter")  # noqa: S608
            self.relation, self.numbered = _KEPT, _NUMBERED
            self.unfiltered = quoted(SINGLE) if filter_sql else ""
            described = self._connection.execute(f"DESCRIBE {_KEPT}").fetchall()
        except duckdb.Error as error:
            raise _said(error) from None
        self.take_columns([DUCKDB.column(str(name), str(kind)) for name, kind, *_ in described])

    def _view(self, name: str, select_sql: str, whose: str = "") -> None:
        try:
            self._one_select(select_sql)
            self._connection.execute(f"CREATE OR REPLACE VIEW {name} AS {select_sql}")
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            raise (_of_holder(whose, error) if whose else _said(error)) from None
        except duckdb.Error as error:
            raise _said(error) from None

    def _one_select(self, sql: str) -> duckdb.Statement:
        statements = self._connection.extract_statements(sql)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise Unreadable("only one SELECT is run over the source")
        return statements[0]


@dataclass(frozen=True, slots=True)
class _Opened:
    """An engine, and what closes it."""

    engine: FilesEngine
    closing: contextlib.ExitStack


class Idle:
    """Keeps the engine of the last question over one source: to start one takes longer than most questions.

    It is the next question's if the files are what they were, and closed after some seconds if none comes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Opened | None = None
        self._closer: threading.Timer | None = None

    def take(self, version: str, tables: Mapping[str, tuple[Files, tuple[Path, ...]]]) -> _Opened | None:
        """The kept engine, for one question alone, if it reads these files in this version."""
        with self._lock:
            kept, self._kept = self._kept, None
            if self._closer is not None:
                self._closer.cancel()
        if kept is None or (kept.engine.version == version and kept.engine.reads(tables)):
            return kept
        kept.closing.close()
        return None

    def leave(self, opened: _Opened) -> None:
        """Keep an engine that has answered, or close it if another is kept already."""
        with self._lock:
            if self._kept is None:
                self._kept = opened
                # It knows neither of them: a program that ends meanwhile leaves nothing open.
                known = weakref.ref(self), weakref.ref(opened.engine)
                self._closer = threading.Timer(_IDLE_S, _close, known)
                self._closer.daemon = True
                self._closer.start()
                return
        opened.closing.close()

    def close(self, engine: FilesEngine) -> None:
        """Close this engine, unless somebody has taken it."""
        with self._lock:
            kept = self._kept
            if kept is None or kept.engine is not engine:
                return
            self._kept = None
        kept.closing.close()


def _close(idle: weakref.ref[Idle], engine: weakref.ref[FilesEngine]) -> None:
    keeper, kept = idle(), engine()
    if keeper is not None and kept is not None:
        keeper.close(kept)


@contextlib.contextmanager
def open_files(
    source: Files | QuerySource,
    limits: EngineLimits,
    key: VersionKey,
    digests: FileDigests,
    idle: Idle | None = None,
) -> Iterator[FilesEngine]:
    """Open the files for as long as the block runs.

    Args:
        source: From the settings.
        limits: Of one question.
        key: For versions.
        digests: Of the files, as far as they are known.
        idle: Whose engine to use, and where to leave it.

    Raises:
        Unreadable: a file is not there or not of its format, or the holder's SQL is
            wrong.
    """
    listed = source.tables if isinstance(source, QuerySource) else {SINGLE: source}

    def found() -> dict[str, tuple[Files, tuple[Path, ...]]]:
        return {name: (table, _files(table)) for name, table in listed.items()}

    def version(tables: Mapping[str, tuple[Files, tuple[Path, ...]]]) -> str:
        try:
            content = [
                hashlib.sha256(name.encode()).digest() + digests.together(paths)
                for name, (_, paths) in sorted(tables.items())
            ]
        except OSError:
            raise Unreadable("the file is not there, or cannot be read") from None
        return key.version(source.definition(), b"".join(content))

    tables = found()
    named_so = version(tables)
    opened = None if idle is None else idle.take(named_so, tables)
    if opened is None:
        with contextlib.ExitStack() as stack:
            paths = [path for _, paths in tables.values() for path in paths]
            connection = stack.enter_context(_connected(limits, paths))
            engine = FilesEngine(connection, named_so, tables, limits.timeout_s, lambda: version(found()))
            engine.take(source.query if isinstance(source, QuerySource) else "", source.filter)
            opened = _Opened(engine, stack.pop_all())
    with contextlib.ExitStack() as stack:
        stack.callback(opened.closing.close)
        yield opened.engine
        # What one has written to a disk goes with it; one that has failed is not asked again.
        if idle is not None and limits.spill is None and not opened.engine.failure:
            stack.pop_all()
            idle.leave(opened)


def clear_spill(limits: EngineLimits) -> None:
    """Remove what a killed engine has left on the disk. Only for the one process that runs the node."""
    if limits.spill is not None:
        for left in limits.spill.glob(f"{_SPILL}*"):
            shutil.rmtree(left, ignore_errors=True)


def _files(source: Files) -> tuple[Path, ...]:
    paths = source.files()
    if not paths:
        what = f"there is no file {source.path}"
        if source.path.is_dir():
            what = f"the folder {source.path} has no file that ends in {' or '.join(source.endings)}"
        raise Unreadable(what, "correct path in node.toml", reason="the file is not there")
    if len(paths) > _MOST_FILES:
        raise Unreadable(f"there are {len(paths)} files, and a source has at most {_MOST_FILES}")
    if any(_PATTERN & set(str(path)) for path in paths):
        # The settings look at the path as it is written; a link may lead to another.
        raise Unreadable("the real path of a file has one of * ? [ ] { } in it: give it another name")
    return paths


@contextlib.contextmanager
def _connected(limits: EngineLimits, paths: list[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    with contextlib.ExitStack() as stack:
        spill = stack.enter_context(_spill_folder(limits.spill)) if limits.spill else ""
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": limits.threads,
            "memory_limit": f"{limits.memory_mib}MiB",
            "temp_directory": spill,  # without one nothing of the table is ever written to a disk
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        }
        try:
            connection = stack.enter_context(contextlib.closing(duckdb.connect(":memory:", config=config)))
            listed = ", ".join(literal(str(path)) for path in paths)
            connection.execute("SET enable_progress_bar = false")
            if spill:
                connection.execute(f"SET max_temp_directory_size = '{limits.spill_mib}MiB'")
            connection.execute(f"SET allowed_paths = [{listed}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except duckdb.Error:
            raise Unreadable("the engine does not start") from None
        yield connection


@contextlib.contextmanager
def _spill_folder(folder: Path) -> Iterator[str]:
    """A folder for one engine alone, gone when it ends: two engines in one would take each other's files."""
    try:
        make_private_folder(folder)
        with tempfile.TemporaryDirectory(prefix=_SPILL, dir=folder, ignore_cleanup_errors=True) as own:
            yield own
    except OSError:
        raise Unreadable(
            "the folder spill cannot be used", "mend spill under [engine] in node.toml"
        ) from None


def _stopped(stopper: threading.Timer) -> None:
    """Not before its last moment is over: it must not interrupt the next question."""
    stopper.cancel()
    stopper.join()


def _of_holder(whose: str, error: duckdb.Error) -> Unreadable:
    """The engine's own words: they are about the holder's SQL, before any cell was read."""
    said = str(error).split("\n", 1)[0].strip()
    return Unreadable(
        f"the {whose} cannot be used: {said}",
        f"mend {whose} in node.toml",
        reason=f"the {whose} cannot be used",
    )


def _said(error: Exception) -> Unreadable:
    """What may be said: where, never what. The engine's own words quote the line."""
    said = str(error)
    if isinstance(error, duckdb.InterruptException) or _INTERRUPTED in said:
        return Unreadable(
            "the engine took too long", "give it more time: timeout_s under [engine] in node.toml"
        )
    if isinstance(error, duckdb.PermissionException):
        return Unreadable("the SQL reads more than its tables", "name every file under tables in node.toml")
    if any(mark in said for mark in _NO_ROOM):
        return Unreadable("there is no room on the disk for what does not fit in memory", _MORE_ROOM)
    if isinstance(error, duckdb.OutOfMemoryException):
        return Unreadable("the engine has not enough memory", _MORE_ROOM)
    line = _LINE.search(said)
    why = next((words for mark, words in _REASONS.items() if mark in said), type(error).__name__)
    reason = f"the engine cannot read the file so ({why})"
    return Unreadable(f"line {line[1]} of the file cannot be read ({why})" if line else reason, reason=reason)
