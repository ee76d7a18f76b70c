"""Transactions over the broker's tables."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from kapok.broker.store.attempts import AttemptTable
from kapok.broker.store.brokers import BrokerTable
from kapok.broker.store.catalogue import CatalogueTable
from kapok.broker.store.duties import DutyTable
from kapok.broker.store.inquiries import InquiryTable
from kapok.broker.store.jobs import JobTable
from kapok.broker.store.reopenings import ReopeningTable
from kapok.broker.store.rows import Rows
from kapok.broker.store.vectors import VectorTable
from kapok.broker.store.wakeups import Heard, heard_from, tell
from kapok.errors import InternalError, InvalidInput, Unavailable
from kapok.logs.lasting import Lasting
from kapok.persistence import Connection, Database, examine_database, is_unavailable, open_database, reason

__all__ = ["Store", "Transaction", "restoring_file"]

# A chunk of 256 KiB lies in 16 pages instead of 64: written, and deleted, with half the work.
_PAGE_BYTES: Final = 16_384
_SEE: Final = (
    "see that there is room on the disk; of PostgreSQL, that it runs and is reachable: `kapok doctor`"
)
# A disk that is full lets whatever writes nothing go on.
_CALM_S: Final = 30.0
_MIGRATIONS: Final = "kapok.broker.store.migrations"
_log = logging.getLogger(__name__)


class Transaction:
    """One transaction: rows read through it may be changed until it ends, and not used afterwards.

    Attributes:
        catalogue: Datasets and memberships.
        jobs: Jobs, members, consents, history.
        attempts: Attempts, rosters, releases.
        vectors: Sealed vectors and sums.
        duties: What nodes owe.
        reopenings: Reopenings of cohorts.
        inquiries: Inquiries that are open.
        brokers: The broker processes on this store.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.catalogue = CatalogueTable(rows)
        self.jobs = JobTable(rows)
        self.attempts = AttemptTable(rows)
        self.vectors = VectorTable(rows)
        self.duties = DutyTable(rows)
        self.reopenings = ReopeningTable(rows)
        self.inquiries = InquiryTable(rows)
        self.brokers = BrokerTable(rows)

    def announce(self, keys: Collection[str]) -> None:
        """Tell the other broker processes, once it is on disk, whom this transaction concerned."""
        if self._rows.dialect != "sqlite":
            tell(self._rows, keys)


class Store:
    """The broker's database. Whoever writes to it, there is one transaction at a time.

    Attributes:
        shared: Whether other broker processes may be on it: on PostgreSQL, not on SQLite.
        taken_back: Called, in the thread that did it, where something that was done is not on disk: the
            numbers of its rows may be given out again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._database = Database(engine)
        self._mine = threading.local()
        self._unusable = Lasting(_log, calm_s=_CALM_S)
        self.shared = engine.dialect.name != "sqlite"
        self.taken_back: Callable[[], None] = lambda: None

    @classmethod
    def open(cls, path_or_url: Path | str, password: str | None = None) -> Store:
        """Open the database, bringing its tables up to date.

        Args:
            path_or_url: Of a SQLite file, or of a PostgreSQL database.
            password: Of the URL's user.

        Raises:
            InvalidInput: it is no database, or a newer version's, or the URL cannot be used;
                ``restore_unfinished``.
            NotFound: its folder does not exist.
            Unavailable: it does not answer.
        """
        _refuse_unfinished(path_or_url)
        return cls(open_database(path_or_url, _MIGRATIONS, page_bytes=_PAGE_BYTES, password=password))

    @staticmethod
    def examine(path_or_url: Path | str, password: str | None = None, *, current: bool = True) -> None:
        """Look whether the database can be opened, and change nothing. There need not be a file.

        Args:
            path_or_url: As `open`.
            password: As `open`.
            current: Whether it must have the tables of this version, not of an earlier one.

        Raises:
            InvalidInput: ``newer_database``, ``older_database`` or ``bad_database``, or the URL cannot be
                used; ``restore_unfinished``.
            Unavailable: ``database_unavailable``.
        """
        _refuse_unfinished(path_or_url)
        examine_database(
            path_or_url, _MIGRATIONS, lambda _connection: None, current=current, password=password
        )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change something: everything within is on disk when the block is left, or nothing is if it raises.

        Raises:
            Unavailable: ``store_unavailable`` when the database cannot be used just now.
        """
        group: _Group | None = getattr(self._mine, "group", None)
        if group is not None:
            with self._plainly(), self._all_or_nothing(), group.part() as rows:
                yield Transaction(rows)
            return
        with self._plainly(), self._all_or_nothing(), self._database.writing() as connection:
            rows = Rows(connection)
            yield Transaction(rows)
            rows.flush()
        self._unusable.over("the store can be used again")

    @contextmanager
    def group_commit(self) -> Iterator[None]:
        """Let the transactions of this thread be on disk together, when the block is left.

        Each is all or nothing by itself, and sees what those before it did; a snapshot sees none of them yet.

        Raises:
            Unavailable: ``store_unavailable`` when the database could not be used: none of them is on disk.
        """
        undone: list[Callable[[], None]] = []
        with self._plainly(), self._all_or_nothing(undone), self._database.writing() as connection:
            self._mine.group = group = _Group(connection, undone)
            try:
                yield
            finally:
                self._mine.group = None
            if group.lost is not None:
                raise group.lost
        self._unusable.over("the store can be used again")
        for told in group.told:
            told()

    def when_on_disk(self, told: Callable[[], None]) -> None:
        """Call something once what this thread's last transaction did is on disk; never if it is lost."""
        group: _Group | None = getattr(self._mine, "group", None)
        if group is None:
            told()
        else:
            group.told.append(told)

    def when_lost(self, undone: Callable[[], None]) -> None:
        """Call something if what this thread's last transaction did is lost; never once it is on disk."""
        group: _Group | None = getattr(self._mine, "group", None)
        if group is not None:
            group.undone.append(undone)

    @contextmanager
    def heard(self, heard: Heard) -> Iterator[None]:
        """Hear what other processes have announced, for as long as the block lasts; from another thread."""
        if not self.shared:
            yield
            return
        with heard_from(self._engine, heard):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read one consistent state. What is changed within is not kept.

        Raises:
            Unavailable: ``store_unavailable`` when the database cannot be used just now.
        """
        with self._plainly(), self._database.reading() as connection:
            yield Transaction(Rows(connection, read_only=True))

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    @contextmanager
    def _all_or_nothing(self, undone: Collection[Callable[[], None]] = ()) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for one in (self.taken_back, *undone):
                one()
            raise

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """No exception of the database's library reaches a caller."""
        try:
            yield
        except SQLAlchemyError as error:
            if is_unavailable(error):
                why = reason(error)
                self._unusable.tell(
                    why, "the store cannot be used", {"why": why, "remedy": _SEE}, error=error
                )
                raise Unavailable(
                    "the broker cannot write down anything just now",
                    code="store_unavailable",
                    remedy="try again; the broker's operator finds the cause in its log",
                ) from None
            _log.exception("the store failed", exc_info=error)
            raise InternalError(
                "the broker's store failed",
                code="store_failed",
                remedy="the broker's operator finds the cause in its log",
            ) from None


class _Group:
    """Transactions that are on disk together.

    Attributes:
        lost: The error by which the database may have taken back what was done before, as SQLite does when a
            disk is full: then none of them counts, and no other is begun.
        told: Called in this order when they are on disk.
        undone: Called in this order when they are lost.
    """

    def __init__(self, connection: Connection, undone: list[Callable[[], None]]) -> None:
        self._connection, self.undone = connection, undone
        self.told: list[Callable[[], None]] = []
        self.lost: SQLAlchemyError | None = None

    @contextmanager
    def part(self) -> Iterator[Rows]:
        """One of them: a savepoint, and rows of its own."""
        if self.lost is not None:
            raise self.lost
        try:
            with self._connection.part():
                rows = Rows(self._connection)
                yield rows
                rows.flush()
        except SQLAlchemyError as error:
            if is_unavailable(error):
                self.lost = error
            raise


def restoring_file(place: Path) -> Path:
    """Where a copy lies that is being brought back, until it is in the place of the database."""
    return place.with_name(place.name + ".restored")


def _refuse_unfinished(path_or_url: Path | str) -> None:
    """Make no empty database where one was moved away for a copy that did not come."""
    if isinstance(path_or_url, Path) and not path_or_url.exists() and restoring_file(path_or_url).exists():
        raise InvalidInput(
            f"{path_or_url} is not there, for a restore was ended before it was done",
            code="restore_unfinished",
            remedy="run `kapok broker restore` again with the same copy; what was there before, if there was "
            f"anything, is beside it as {path_or_url.name}.before-…",
        )
