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

from kapok.errors import InvalidInput, KapokError, Unavailable
from kapok.nodes.keys import write_durably

__all__ = ["Mirror"]


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

    def write(self, number: int) -> None:
        """Bring the file to this number, durably, unless it is there already.

        Raises:
            Unavailable: ``journal_unavailable``: then nothing may be answered.
        """
        with self._lock:
            if number <= self._written:
                return
            try:
                write_durably(self._path, f"{number}\n".encode())
            except KapokError as error:
                raise Unavailable(error.message, code="journal_unavailable", remedy=error.remedy) from None
            self._written = number

    def refuse(self, number: int, mirrored: int | None, accepted: int | None) -> None:
        """Refuse a journal with this number beside that mirror, unless an officer has accepted it.

        Raises:
            InvalidInput: ``journal_restored``.
        """
        named = number if mirrored is None else mirrored
        if accepted == named:
            return
        why = (
            f"{self._path} is missing"
            if mirrored is None
            else f"its number is {number}, {self._path} says {mirrored}"
        )
        raise InvalidInput(
            f"the journal seems to have been restored from a copy: {why}",
            code="journal_restored",
            remedy="bring the newest journal back. If it is lost, an officer may confirm with "
            f"`accept_rollback = {named}` in node.toml: every job that was asked before is then refused; "
            "tries, releases and cohorts since the copy was made are forgotten here, so that it is left to "
            "the other nodes to refuse another cohort",
        )
