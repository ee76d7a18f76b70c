"""Real disks that can be cut off at any write, and be full.

A power cut copies what lies on the disk in that instant, SQLite's files as they are in the middle of whatever
it does, and the machine goes on from the copy. What the old process still does it does to the files that it
was cut off from, and nobody hears of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from unittest.mock import patch

Phase = Literal["before", "after"]
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE")


class Owner(Protocol):
    """Whose disk it is."""

    full: bool

    def wrote(self, phase: Phase, what: str) -> None:
        """Something is about to be on the disk, or is."""


class Disks:
    """The folders of a run, by the name of each folder."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/"
        self.owners: dict[str, Owner] = {}

    def owner(self, path: str | None) -> Owner | None:
        """Whose file it is; None for one that is nobody's, or a dead process's."""
        if not path or not path.startswith(self._root):
            return None
        return self.owners.get(path[len(self._root) :].partition("/")[0])


_disks: Disks | None = None


def _owner(path: str | None) -> Owner | None:
    return _disks.owner(path) if _disks is not None else None


@contextlib.contextmanager
def watched(disks: Disks) -> Iterator[None]:
    """Tell owners of every write, for as long as the block lasts."""
    global _disks
    replace, sync, connect = os.replace, os.fsync, sqlite3.dbapi2.connect

    def replacing(source: Any, target: Any, **more: Any) -> None:
        owner, name = _owner(str(target)), Path(target).name
        if owner is not None:
            owner.wrote("before", name)
        replace(source, target, **more)
        if owner is not None:
            owner.wrote("after", name)

    def connecting(*given: Any, **named: Any) -> sqlite3.Connection:
        return connect(*given, **named, factory=_Connection)

    def syncing(descriptor: int) -> None:
        owner = _owner(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        if owner is not None and owner.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    _disks = disks
    try:
        with (
            patch("os.replace", replacing),
            patch("os.fsync", syncing),
            patch("sqlite3.dbapi2.connect", connecting),
        ):
            yield
    finally:
        _disks = None


def image(home: Path, copy: Path) -> None:
    """What would be found on the disk if the power went now; locks and shared memory are no files."""
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*-shm", "*.lock"))


class _Connection(sqlite3.Connection):
    """A daemon's connection to one of its databases: a commit of what was begun for writing is a write."""

    def __init__(self, database: str, *given: Any, **named: Any) -> None:
        super().__init__(database, *given, **named)
        self.database, self.writing = database, False

    def cursor(self, *_given: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(_Cursor)

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return self.cursor().execute(sql, *given)

    def commit(self) -> None:
        owner = _owner(self.database) if self.writing else None
        self.writing = False
        if owner is not None:
            owner.wrote("before", Path(self.database).name)
        super().commit()
        if owner is not None:
            owner.wrote("after", Path(self.database).name)

    def rollback(self) -> None:
        self.writing = False
        super().rollback()


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        self._note(sql)
        return super().execute(sql, *given)

    def executemany(self, sql: str, *given: Any) -> sqlite3.Cursor:
        self._note(sql)
        return super().executemany(sql, *given)

    def _note(self, sql: str) -> None:
        connection: Any = self.connection
        if sql == "BEGIN IMMEDIATE":
            connection.writing = True
        elif sql.startswith(_CHANGES):
            owner = _owner(connection.database)
            if owner is not None and owner.full:
                raise sqlite3.OperationalError("database or disk is full")
