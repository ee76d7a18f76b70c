"""Transactions on the driver's own connection, which SQLAlchemy keeps, and knows how to speak to.

Source: PEP 249 (the drivers' interface); SQLite, "Savepoints".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter, methodcaller
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect, Engine

from kapok.persistence import postgres
from kapok.persistence.prepared import Prepared, Values

__all__ = ["Connection", "Database"]

_BEGIN: Final = "BEGIN"
_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
_NONE: Final[Values] = {}
# What a cursor tells.
_all: Final = methodcaller("fetchall")
_first: Final = methodcaller("fetchone")
_concerned: Final = attrgetter("rowcount")


def _nothing(_cursor: Any) -> None:
    return None


class Connection:
    """One transaction. Statements that are no constants are prepared on the spot, which takes its time.

    Attributes:
        driver: The driver's connection.
        dialect: The database's.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: from every method, as SQLAlchemy would raise it.
    """

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        self.driver, self.dialect = driver, dialect
        self._error = dialect.loaded_dbapi.Error

    def rows(self, statement: Prepared | sa.Executable, values: Values = _NONE) -> list[Any]:
        """All rows that a statement reads, as named tuples."""
        form = _prepared(statement).form(self.dialect, values)
        found = self._run(form.sql, form.parameters(values), _all)
        return found if form.row is None else list(map(form.row, found))

    def row(self, statement: Prepared | sa.Executable, values: Values = _NONE) -> Any:
        """The first row; None where there is none."""
        form = _prepared(statement).form(self.dialect, values)
        found = self._run(form.sql, form.parameters(values), _first)
        return found if found is None or form.row is None else form.row(found)

    def value(self, statement: Prepared | sa.Executable, values: Values = _NONE) -> Any:
        """The first column of the first row; None where there is none."""
        row = self.row(statement, values)
        return None if row is None else row[0]

    def change(self, statement: Prepared | sa.Executable, values: Values = _NONE) -> int:
        """Write; return how many rows that concerned."""
        form = _prepared(statement).form(self.dialect, values)
        return int(self._run(form.sql, form.parameters(values), _concerned))

    def change_each(self, statement: Prepared | sa.Executable, each: Sequence[Values]) -> None:
        """Write several times, each with values of the same names."""
        if each:
            form = _prepared(statement).form(self.dialect, each[0])
            try:
                self.dialect.do_executemany(
                    self.driver.cursor(), form.sql, [form.parameters(values) for values in each]
                )
            except self._error as error:
                raise self._as_sqlalchemy_has_it(form.sql, error) from error

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """Within the transaction: all of it, or nothing if it raises."""
        self._run("SAVEPOINT part")
        try:
            yield
        except BaseException:
            # This raises where the database has given up the whole transaction: nothing may go on in it then.
            self._run("ROLLBACK TO SAVEPOINT part")
            self._run("RELEASE SAVEPOINT part")
            raise
        self._run("RELEASE SAVEPOINT part")

    def begin(self, *, read_only: bool) -> None:
        """Begin, and wait for one's turn if it is to write."""
        if self.dialect.name == "sqlite":
            self._run(_BEGIN if read_only else _BEGIN_WRITING)
        else:
            self._run(postgres.READ if read_only else postgres.WRITE)

    def commit(self) -> None:
        """End, with everything on disk."""
        try:
            self.dialect.do_commit(self.driver)
        except self._error as error:
            raise self._as_sqlalchemy_has_it("COMMIT", error) from error

    def _run(self, sql: str, parameters: tuple[Any, ...] = (), told: Callable[[Any], Any] = _nothing) -> Any:
        """Run it, and return what its cursor tells: SQLite goes on working while rows are fetched."""
        cursor = self.driver.cursor()
        try:
            self.dialect.do_execute(cursor, sql, parameters)
            return told(cursor)
        except self._error as error:
            raise self._as_sqlalchemy_has_it(sql, error) from error

    def _as_sqlalchemy_has_it(self, sql: str, error: Exception) -> BaseException:
        # Parameters of statements stay out of exceptions and logs: they are other people's business.
        return sa.exc.DBAPIError.instance(
            sql, None, error, self._error, hide_parameters=True, dialect=self.dialect
        )


class Database:
    """A database's transactions. Whoever opened the engine disposes of it.

    Args:
        engine: As `kapok.persistence.open_database` opens it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._error = engine.dialect.loaded_dbapi.Error

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """Read one consistent state."""
        return self._connection(read_only=True)

    def writing(self) -> contextlib.AbstractContextManager[Connection]:
        """Change something: all is on disk when the block is left, or nothing is if it raises."""
        return self._connection(read_only=False)

    def close(self) -> None:
        """Let the connections go."""
        self.engine.dispose()

    @contextlib.contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[Connection]:
        """From the pool, which rolls back what was not committed."""
        try:
            driver = self.engine.raw_connection()
        except self._error as error:
            raise sa.exc.DBAPIError.instance("", None, error, self._error, hide_parameters=True) from error
        try:
            connection = Connection(driver.driver_connection, self.engine.dialect)
            connection.begin(read_only=read_only)
            yield connection
            if not read_only:
                connection.commit()
        except sa.exc.DBAPIError as error:
            reason: Any = error.orig
            if reason is not None and self.engine.dialect.is_disconnect(reason, None, None):
                driver.invalidate()
            raise
        finally:
            driver.close()


def _prepared(statement: Prepared | sa.Executable) -> Prepared:
    return statement if isinstance(statement, Prepared) else Prepared(statement)
