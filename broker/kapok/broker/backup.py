"""Copies of a broker's SQLite file, while it runs; and one put back in its place.

What is restored has forgotten what happened since. Jobs of that time must be asked again. Nodes release
nothing twice: their own journals know what they have released, whatever a broker says.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kapok.broker.app import SETTINGS_FILE, store_place
from kapok.broker.settings import BrokerSettings
from kapok.broker.store import Store, restoring_file
from kapok.daemon import alone
from kapok.errors import InvalidInput, NotFound, Unavailable
from kapok.settings import load

__all__ = ["backup", "restore"]

_BESIDE: Final = ("-journal", "-wal", "-shm")


def backup(home: Path | str, file: Path | str) -> int:
    """Copy the broker's database as it is at one moment. The broker may run.

    Args:
        home: The broker's folder.
        file: A new file.

    Returns:
        Its size in bytes.

    Raises:
        NotFound: ``no_database``, or the settings are not there.
        InvalidInput: ``file_exists``; ``restore_unfinished``; ``use_pg_dump`` where the store is PostgreSQL.
        Unavailable: ``backup_failed``: nothing is left of it.
    """
    file = Path(file)
    place = _place(Path(home))
    if not place.exists():
        Store.examine(place)
        raise NotFound(
            f"there is no {place} to copy",
            code="no_database",
            remedy="see --home; a broker makes it when it first runs",
        )
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise _failed(file, error.strerror) from None
    try:
        _copy(place, file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return file.stat().st_size


def restore(home: Path | str, file: Path | str, *, clock: Callable[[], float] = time.time) -> Path | None:
    """Put a copy in the place of the broker's database. The broker must not run.

    Returns:
        Where what was there is now; None where there was nothing.

    Raises:
        NotFound: ``no_backup``.
        InvalidInput: ``already_running``; ``use_pg_dump``; ``unfinished_copy``; what is wrong with the copy.
        Unavailable: ``backup_failed``: what was there is still there; where the disk does not even let it be
            put back, beside it under its new name.
    """
    home, file = Path(home), Path(file)
    place = _place(home)
    if not file.exists():
        raise NotFound(f"there is no {file}", code="no_backup", remedy="name a file of `kapok broker backup`")
    Store.examine(file, current=False)
    with alone(home, "broker"):
        new = restoring_file(place)
        _refuse_own(file, new)
        new.unlink(missing_ok=True)
        try:
            os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _copy(file, new)
            return _change_places(new, place, clock())
        except OSError as error:
            raise _failed(new, error.strerror) from None
        finally:
            # Where nothing is in its place, it stays, and a broker says so.
            if place.exists():
                new.unlink(missing_ok=True)


def _place(home: Path) -> Path:
    place = store_place(home, load(home / SETTINGS_FILE, BrokerSettings).store)
    if isinstance(place, Path):
        return place
    raise InvalidInput(
        "this broker's store is PostgreSQL",
        code="use_pg_dump",
        remedy="copy it with `pg_dump -Fc`, and bring it back with `pg_restore --clean` while no broker runs",
    )


def _refuse_own(file: Path, new: Path) -> None:
    """Do not make a copy of what this makes, which is first removed."""
    if new.exists() and file.samefile(new):
        raise InvalidInput(
            f"{file} is what a restore that was ended has left, and it may not be whole",
            code="unfinished_copy",
            remedy="name the copy that was to be restored; where there is no other, give this one another "
            "name and try it",
        )


def _change_places(new: Path, place: Path, now: float) -> Path | None:
    """Put a file in the place of a database, whose old name gets a time; all of it, or nothing.

    What SQLite has kept beside a database goes with it, also where the database itself is gone: the one that
    comes would be taken for what it belongs to.
    """
    kept = place.with_name(f"{place.name}.before-{int(now)}")
    if kept.exists():
        raise _exists(kept)
    there = place.exists()
    if there:
        _make_whole(place)
    moved: list[str] = []
    try:
        for suffix in (*_BESIDE, ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{place}{suffix}").rename(f"{kept}{suffix}")
                moved.append(suffix)
        new.replace(place)
    except OSError:
        for suffix in reversed(moved):
            Path(f"{kept}{suffix}").rename(f"{place}{suffix}")
        raise
    return kept if there else None


def _make_whole(place: Path) -> None:
    """Bring what is beside a database into it, so that one rename takes all; a damaged one stays as it is."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(place.absolute().as_uri() + "?mode=rw", uri=True)) as database,
    ):
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(source: Path, target: Path) -> None:
    """SQLite's own online copy, checked and on disk when this returns."""
    try:
        with (
            contextlib.closing(sqlite3.connect(source.absolute().as_uri() + "?mode=ro", uri=True)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")
            if new.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
                raise _failed(target, "the copy is damaged")
        with target.open("rb") as written:
            os.fsync(written.fileno())
    except (sqlite3.Error, OSError) as error:
        raise _failed(target, str(error)) from None


def _exists(file: Path) -> InvalidInput:
    return InvalidInput(
        f"{file} is there already", code="file_exists", remedy="name a new file; none is overwritten"
    )


def _failed(file: Path, why: str | None) -> Unavailable:
    return Unavailable(
        f"{file} could not be written: {why}",
        code="backup_failed",
        remedy="see that there is room on the disk and that this user may write there",
    )
