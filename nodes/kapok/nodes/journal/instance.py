"""The journal's number and its mirror: how a journal that was restored from a copy is noticed.

The number grows with each write, in the same transaction, and the mirror follows before anything is
answered. So whatever was answered is in a journal whose number is at least the mirror's: a smaller
number means that answers were forgotten. An attacker who could make a node forget a release would have
it release another attempt, and subtract. A virtual machine that is rolled back as a whole takes the
mirror along: that is not noticed.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from kapok.errors import InvalidInput, KapokError, Unavailable
from kapok.identity.keyfiles import replace_file
from kapok.nodes.journal import tables
from kapok.persistence import Connection, Database, Prepared

__all__ = ["Mirror", "number_of", "take_on"]

_NUMBER: Final = Prepared(sa.select(tables.instance.c.number))
_TAKE_ON: Final = Prepared(tables.instance.update().values(number=tables.instance.c.number + 1))


def number_of(connection: Connection) -> int:
    """The journal's number."""
    return int(connection.value(_NUMBER) or 0)


def take_on(connection: Connection) -> None:
    """Take the journal's number on: part of every transaction that changes something."""
    connection.change(_TAKE_ON)


class Mirror:
    """The file outside the state folder that follows the journal's number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written = -1

    def read(self) -> int | None:
        """Return the number in the file; None when there is no file, or nothing in it that can be read.

        Raises:
            InvalidInput: ``bad_file`` when the system does not let it be read.
        """
        try:
            text = self._path.read_bytes()[:32]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput(
                f"{self._path} cannot be read: {error.strerror}",
                code="bad_file",
                remedy="see that the node's user owns it",
            ) from None
        return int(text) if text.strip().isdigit() else None

    def follow(self, database: Database) -> None:
        """Bring the file to the journal's number, durably, unless it is there already.

        The number is read again while nobody else may write: the node and an officer's process both write
        the file, and neither may set it back.

        Raises:
            Unavailable: ``journal_unavailable``: then nothing may be answered.
        """
        with database.reading() as connection:
            if number_of(connection) <= self._written:
                return
        with database.writing() as connection:
            self._write(number_of(connection))

    def _write(self, number: int) -> None:
        with self._lock:
            if number <= self._written:
                return
            try:
                replace_file(self._path, f"{number}\n".encode())
            except KapokError as error:
                raise Unavailable(error.message, code="journal_unavailable", remedy=error.remedy) from None
            self._written = number

    def check(self, number: int, accepted: int | None = None) -> int | None:
        """Refuse a journal whose number the file is ahead of, unless an officer has accepted it.

        Returns:
            None when all is well; the number to go on from when an officer has accepted a restored journal.

        Raises:
            InvalidInput: ``journal_restored``, or as `read`.
        """
        return self.judge(number, self.read(), accepted)

    def judge(self, number: int, mirrored: int | None, accepted: int | None) -> int | None:
        """As `check`, with what was read from the file: None where there was none."""
        if number == 0 if mirrored is None else number >= mirrored:
            return None
        named = number if mirrored is None else mirrored
        if accepted == named:
            return max(number, mirrored or 0)
        why, moved = f"its number is {number}, {self._path} says {mirrored}", ""
        if mirrored is None:
            why = f"{self._path} is missing"
            moved = "where `instance` in node.toml was changed, move the file there; otherwise "
        raise InvalidInput(
            f"the journal seems to have been restored from a copy: {why}",
            code="journal_restored",
            remedy=f"{moved}bring the newest journal back. If it is lost, an officer may confirm with "
            f"`accept_rollback = {named}` in node.toml, above its first [section]: every job that was asked "
            "before is then refused; tries, releases and cohorts since the copy was made are forgotten here, "
            "so that it is left to the other nodes to refuse another cohort",
        )
