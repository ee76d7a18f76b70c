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

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

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
    replace, sync = os.replace, os.fsync

    def replacing(source: Any, target: Any, **more: Any) -> None:
        owner, name = _owner(str(target)), Path(target).name
        if owner is not None:
            owner.wrote("before", name)
        replace(source, target, **more)
        if owner is not None:
            owner.wrote("after", name)

    def syncing(descriptor: int) -> None:
        owner = _owner(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        if owner is not None and owner.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    _disks = disks
    try:
        with patch("os.replace", replacing), patch("os.fsync", syncing):
            yield
    finally:
        _disks = None


def image(home: Path, copy: Path) -> None:
    """What would be found on the disk if the power went now; locks and shared memory are no files."""
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*-shm", "*.lock"))


def _committing(connection: sa.Connection) -> None:
    path = connection.engine.url.database
    owner = _owner(path)
    if owner is not None and not connection.get_execution_options().get("read_only", False):
        owner.wrote("before", Path(str(path)).name)
        connection.info["committed"] = path


def _returned(_connection: Any, record: Any) -> None:
    path = record.info.pop("committed", None)
    owner = _owner(path)
    if owner is not None:
        owner.wrote("after", Path(path).name)


def _executing(_cursor: Any, statement: str, _parameters: Any, context: Any) -> None:
    if statement.startswith(_CHANGES):
        owner = _owner(context.root_connection.engine.url.database)
        if owner is not None and owner.full:
            raise sqlite3.OperationalError("database or disk is full")


sa.event.listen(Engine, "commit", _committing)
sa.event.listen(Pool, "checkin", _returned)
sa.event.listen(Engine, "do_execute", _executing)
sa.event.listen(Engine, "do_executemany", _executing)
