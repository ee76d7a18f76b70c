"""Databases of the daemons: a SQLAlchemy engine whose tables are brought up to date when it is opened.

SQLite by path (WAL, every commit on disk before it is answered), or PostgreSQL by URL
(`kapok.persistence.postgres`). Migrations are an Alembic folder inside a package: ``<package>/env.py``,
``<package>/versions/0001_*.py``; its ``env.py`` is two lines, ``from kapok.persistence import
run_environment`` and ``run_environment()``.

Transactions that write come one after the other, whoever opened the database: on SQLite each begins with
``BEGIN IMMEDIATE``, on PostgreSQL by taking one advisory lock. It waits for its turn at its beginning,
instead of failing in its middle. A connection with the execution option ``read_only=True`` reads one
consistent state and waits for nobody.

    postgres   how PostgreSQL is dialled, how its transactions begin, what its errors mean
    prepared   statements that are compiled once
    database   transactions in which they are run, on the driver's own connection
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import importlib.resources
import io
import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar
from urllib.parse import quote

import sqlalchemy
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import URL, Engine

from kapok.errors import InvalidInput, NotFound, Unavailable
from kapok.persistence import postgres
from kapok.persistence.database import Connection, Database
from kapok.persistence.prepared import Prepared, Values

__all__ = [
    "Connection",
    "Database",
    "Prepared",
    "Values",
    "examine_database",
    "is_unavailable",
    "open_database",
    "reason",
    "run_environment",
]

T = TypeVar("T")

_BUSY_TIMEOUT_MS: Final = 15_000
_PAGE_BYTES: Final = 4096
_FILE_MODE: Final = 0o600
_VERSIONS: Final = sqlalchemy.table("alembic_version", sqlalchemy.column("version_num", sqlalchemy.String))


def open_database(
    path_or_url: Path | str,
    migrations: str | ModuleType,
    *,
    page_bytes: int = _PAGE_BYTES,
    password: str | None = None,
) -> Engine:
    """Open a database and upgrade its tables to what this version of Kapok needs.

    Args:
        path_or_url: Path of a SQLite file (made with mode 0600 if absent), or a URL of PostgreSQL's.
        migrations: The package that holds the Alembic folder, or its name.
        page_bytes: Of a new SQLite file, a power of 2 up to 65,536: large values take less work in large
            pages. A file that exists keeps its own.
        password: Of the URL's user, where the server asks for one: it does not stand in the URL.

    Returns:
        An engine; whoever opened it calls ``dispose()``.

    Raises:
        InvalidInput: ``newer_database`` when a later version of Kapok has written it, ``bad_database`` when
            the file is no database, ``bad_database_url`` when the URL or its driver cannot be used,
            ``database_refused`` when the server does not let this user in or do what is needed.
        NotFound: ``no_folder`` when the folder of a SQLite file does not exist.
        Unavailable: ``database_unavailable`` when the server does not answer or the file is locked.
    """
    engine, shown = _engine(path_or_url, page_bytes, password)
    try:
        with _plain_errors(shown), _scripts(migrations) as config:
            if _is_behind(engine, config, shown):
                with _for_upgrades(engine, path_or_url, password) as upgrading:
                    _upgrade(upgrading, config, shown)
    except BaseException:
        engine.dispose()
        raise
    return engine


def examine_database(
    path_or_url: Path | str,
    migrations: str | ModuleType,
    look: Callable[[Connection], T],
    *,
    current: bool = False,
    password: str | None = None,
) -> T | None:
    """Read a database as `open_database` would find it, and change nothing: no upgrade, no new file.

    Args:
        path_or_url: As `open_database`.
        migrations: As `open_database`.
        look: Called with a connection that can only read; not called without tables.
        current: Whether `look` needs the tables that this version of Kapok has.
        password: As `open_database`.

    Returns:
        What `look` returned; None when there is no such file, or nothing in it yet.

    Raises:
        InvalidInput: ``newer_database`` or ``bad_database``; with `current` also ``older_database``; as
            `open_database` for a URL.
        Unavailable: ``database_unavailable``.
    """
    if isinstance(path_or_url, Path):
        if not path_or_url.exists():
            return None
        if not os.access(path_or_url, os.R_OK, effective_ids=True):
            raise _not_opened(path_or_url, os.strerror(errno.EACCES), "read")
    engine, shown = _reading_engine(path_or_url, password)
    try:
        with _plain_errors(shown), _scripts(migrations) as config, engine.connect() as connection:
            script = _directory(config)
            heads = _heads(connection)
            _refuse_newer(heads, script, shown)
            if heads and current and set(heads) != set(script.get_heads()):
                raise InvalidInput(
                    f"{shown} was written by an earlier version of Kapok",
                    code="older_database",
                    remedy="start this version's daemon once: it brings the file up to date",
                )
            driver = connection.connection.driver_connection
            return look(Connection(driver, engine.dialect)) if heads else None
    finally:
        engine.dispose()


def run_environment() -> None:
    """Run the migrations on the connection that `open_database` has opened: all of an ``env.py``."""
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def is_unavailable(error: sqlalchemy.exc.SQLAlchemyError) -> bool:
    """Whether an error says that the database cannot be used just now, and trying again may help."""
    return isinstance(error, sqlalchemy.exc.OperationalError) or postgres.is_unavailable(error)


def reason(error: sqlalchemy.exc.SQLAlchemyError) -> str:
    """What went wrong, as the database names it: SQLite's name, a server's SQLSTATE, or the error's class.

    The words beside it may quote what was to be written.
    """
    cause: BaseException | None = getattr(error, "orig", None)
    named = getattr(cause, "sqlite_errorname", "") or postgres.state(error)
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return str(named or type(cause or error).__name__)


def _secure_file(path: Path) -> None:
    """Make the file before SQLite does, so that it (and the WAL beside it) never is readable for others."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                os.fchmod(descriptor, _FILE_MODE)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise NotFound(
            f"there is no folder {path.parent}", code="no_folder", remedy="make it, or name another"
        ) from None
    except OSError as error:
        raise _not_opened(path, error.strerror, "write") from None


def _not_opened(path: Path, why: str | None, right: str) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be opened: {why}",
        code="bad_database",
        remedy=f"see that this user owns it and may {right} it",
    )


def _engine(path_or_url: Path | str, page_bytes: int, password: str | None) -> tuple[Engine, str]:
    """An engine, and the database's name as it may be shown."""
    if not isinstance(path_or_url, Path) and "://" in path_or_url:
        return postgres.engine(path_or_url, password)
    path = Path(path_or_url).expanduser().absolute()
    _secure_file(path)
    # Parameters of statements stay out of exceptions and logs: they are other people's business.
    engine = sqlalchemy.create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True)
    sqlalchemy.event.listen(engine, "connect", partial(_set_pragmas, page_bytes))
    sqlalchemy.event.listen(engine, "begin", _begin)
    return engine, str(path)


@contextlib.contextmanager
def _for_upgrades(engine: Engine, path_or_url: Path | str, password: str | None) -> Iterator[Engine]:
    """The engine that brings the tables up to date: of a server, one whose statements may take long."""
    if engine.dialect.name == "sqlite":
        yield engine
        return
    patient, _ = postgres.engine(str(path_or_url), password, upgrades=True)
    try:
        yield patient
    finally:
        patient.dispose()


def _reading_engine(path_or_url: Path | str, password: str | None) -> tuple[Engine, str]:
    """An engine that changes nothing, and the database's name as it may be shown."""
    if not isinstance(path_or_url, Path):
        engine, shown = postgres.engine(path_or_url, password)
        return engine.execution_options(read_only=True), shown
    place = f"file:{quote(str(path_or_url.absolute()))}"
    url = URL.create("sqlite", database=place, query={"mode": "ro", "uri": "true"})
    return sqlalchemy.create_engine(url, hide_parameters=True), str(path_or_url)


def _set_pragmas(page_bytes: int, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin` does
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute(f"PRAGMA page_size = {page_bytes}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA trusted_schema = OFF")
    finally:
        cursor.close()


def _begin(connection: sqlalchemy.Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    try:
        connection.connection.driver_connection.execute(begin)  # type: ignore[union-attr]
    except sqlite3.Error as error:
        # As of any other statement; one that has no parameters and no rows need not go SQLAlchemy's long way.
        raise sqlalchemy.exc.OperationalError(begin, None, error) from error


@contextlib.contextmanager
def _plain_errors(shown: str) -> Iterator[None]:
    try:
        yield
    except (sqlalchemy.exc.DatabaseError, sqlalchemy.exc.InterfaceError) as error:
        if (refused := postgres.refused(error, shown)) is not None:
            raise refused from None
        if is_unavailable(error):
            raise Unavailable(
                f"the database {shown} cannot be used just now",
                code="database_unavailable",
                remedy="see that it runs, is reachable, not locked by another program, and the disk not full",
            ) from None
        raise InvalidInput(
            f"{shown} is not a database that Kapok can use",
            code="bad_database",
            remedy="name the right file, or bring it back from a backup",
        ) from None


@contextlib.contextmanager
def _scripts(migrations: str | ModuleType) -> Iterator[Config]:
    package = importlib.import_module(migrations) if isinstance(migrations, str) else migrations
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with importlib.resources.as_file(importlib.resources.files(package)) as folder:
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        yield config


def _is_behind(engine: Engine, config: Config, shown: str) -> bool:
    """Whether a database lacks what this version needs; who looks has not an upgrade's patience."""
    with engine.connect().execution_options(read_only=True) as connection:
        heads, script = _heads(connection), _directory(config)
        _refuse_newer(heads, script, shown)
        return set(heads) != set(script.get_heads())


def _upgrade(engine: Engine, config: Config, shown: str) -> None:
    with engine.connect() as connection, _nothing_cascades(connection), connection.begin():
        # Another process may have done it meanwhile, or more than that.
        heads, script = _heads(connection), _directory(config)
        _refuse_newer(heads, script, shown)
        if set(heads) != set(script.get_heads()):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _refuse_dangling(connection, shown)


@contextlib.contextmanager
def _nothing_cascades(connection: sqlalchemy.Connection) -> Iterator[None]:
    """Let a migration make a table anew without loss of the rows that refer to it.

    SQLite takes a table that is dropped for one whose rows are deleted, and changes this setting only outside
    of a transaction. Source: SQLite, "ALTER TABLE", section 7.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _refuse_dangling(connection: sqlalchemy.Connection, shown: str) -> None:
    """Look at what nobody has looked at while SQLite's foreign keys were off."""
    if connection.dialect.name != "sqlite":
        return
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if dangling is not None:
        raise InvalidInput(
            f"{shown} is not brought up to date: rows of its table {dangling[0]} would refer to rows of "
            f"{dangling[2]} that are not there",
            code="bad_database",
            remedy="it is as it was: go on with the version that wrote it, or bring back a backup",
        )


def _directory(config: Config) -> ScriptDirectory:
    """The migrations of a folder, read once for as long as it has the same ones: reading takes long."""
    folder = Path(config.get_main_option("script_location") or "")
    return _read_directory(folder, tuple(sorted(path.name for path in folder.glob("versions/*.py"))))


@functools.cache
def _read_directory(folder: Path, _names: tuple[str, ...]) -> ScriptDirectory:
    return ScriptDirectory(str(folder))


def _heads(connection: sqlalchemy.Connection) -> tuple[str, ...]:
    """The revisions that a database is at, as Alembic notes them; none where nothing is in it yet."""
    if not connection.dialect.has_table(connection, _VERSIONS.name):
        return ()
    return tuple(connection.scalars(sqlalchemy.select(_VERSIONS.c.version_num)))


def _refuse_newer(heads: Sequence[str], script: ScriptDirectory, shown: str) -> None:
    for revision in heads:
        try:
            known = script.get_revision(revision) is not None
        except CommandError:
            known = False
        if not known:
            raise InvalidInput(
                f"{shown} was written by a later version of Kapok (revision {revision})",
                code="newer_database",
                remedy="install that version or a later one; the file has not been changed",
            )
