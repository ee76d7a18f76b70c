"""Transactions over the broker's tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from kapok.broker.store.attempts import AttemptTable
from kapok.broker.store.catalogue import CatalogueTable
from kapok.broker.store.duties import DutyTable
from kapok.broker.store.jobs import JobTable
from kapok.broker.store.reopenings import ReopeningTable
from kapok.broker.store.vectors import VectorTable
from kapok.errors import InternalError, Unavailable
from kapok.persistence import examine_database, open_database

__all__ = ["Store", "Transaction"]

# A chunk of 256 KiB lies in 16 pages instead of 64: written, and deleted, with half the work.
_PAGE_BYTES: Final = 16_384
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
    """

    def __init__(self, session: Session) -> None:
        self.catalogue = CatalogueTable(session)
        self.jobs = JobTable(session)
        self.attempts = AttemptTable(session)
        self.vectors = VectorTable(session)
        self.duties = DutyTable(session)
        self.reopenings = ReopeningTable(session)


class Store:
    """The broker's database. One broker process writes to it, one transaction at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    @classmethod
    def open(cls, path_or_url: Path | str) -> Store:
        """Open the database, bringing its tables up to date.

        Raises:
            InvalidInput: it is no database, or a newer version's.
            NotFound: its folder does not exist.
            Unavailable: it does not answer.
        """
        return cls(open_database(path_or_url, _MIGRATIONS, page_bytes=_PAGE_BYTES))

    @staticmethod
    def examine(path: Path) -> None:
        """Look whether a SQLite file can be opened, and change nothing. There need not be one.

        Raises:
            InvalidInput: ``newer_database``, ``older_database`` or ``bad_database``.
            Unavailable: ``database_unavailable``.
        """
        examine_database(path, _MIGRATIONS, lambda _connection: None, current=True)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change something: everything within is on disk when the block is left, or nothing is if it raises.

        Raises:
            Unavailable: ``store_unavailable`` when the database cannot be used just now.
        """
        with _plainly(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield Transaction(session)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read one consistent state. What is changed within is not kept.

        Raises:
            Unavailable: ``store_unavailable`` when the database cannot be used just now.
        """
        with _plainly(), Session(self._reader, expire_on_commit=False, autoflush=False) as session:
            yield Transaction(session)

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()


@contextmanager
def _plainly() -> Iterator[None]:
    """No exception of the database's library reaches a caller."""
    try:
        yield
    except OperationalError as error:
        _log.warning("the store cannot be used", exc_info=error)
        raise Unavailable(
            "the broker cannot write down anything just now",
            code="store_unavailable",
            remedy="try again; the broker's operator finds the cause in its log",
        ) from None
    except SQLAlchemyError as error:
        _log.exception("the store failed", exc_info=error)
        raise InternalError(
            "the broker's store failed",
            code="store_failed",
            remedy="the broker's operator finds the cause in its log",
        ) from None
