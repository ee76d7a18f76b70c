"""Credentials that are renewed while a daemon runs: new files are taken over, wrong ones are not.

A renewal replaces ``identity/certificate.pem``, and perhaps ``key.pem``. The files are looked at each second;
what cannot be used is said once in the log, and the daemon goes on with what it has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from kapok.daemon.chores import kept_going
from kapok.errors import IdentityInvalid, KapokError
from kapok.identity.credentials import CERTIFICATE_FILE, IDENTITY_FOLDER, KEY_FILE, Credentials

__all__ = ["Current"]

_LOOK_S: Final = 1.0
_FILES: Final = (CERTIFICATE_FILE, KEY_FILE)
_log = logging.getLogger(__name__)

Clock = Callable[[], float]
Marks = tuple[tuple[int, int] | None, ...]


class Current:
    """A party's credentials as they are now.

    Args:
        home: The party's folder.
        credentials: What it has at first.
        passphrase: Opens the private key; else that of the environment.
        clock: Seconds since the epoch.

    Attributes:
        now: The newest that could be used.
    """

    def __init__(
        self,
        home: Path,
        credentials: Credentials,
        passphrase: str | None = None,
        clock: Clock = time.time,
    ) -> None:
        self.now = credentials
        self._home, self._passphrase, self._clock = home, passphrase, clock
        self._files = [home / IDENTITY_FOLDER / name for name in _FILES]
        self._seen = _marks(self._files)
        self._told: list[Callable[[], None]] = []

    def tell(self, told: Callable[[], None]) -> None:
        """Call something whenever there are new ones, on the event loop."""
        self._told.append(told)

    def kept_up(self) -> AbstractAsyncContextManager[None]:
        """Look for new files for as long as the block lasts."""
        return kept_going("the look for new credentials", self._look)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            marks = _marks(self._files)
            if marks == self._seen or None in marks:
                continue  # while one is written the other may be away
            self._seen = marks
            try:
                found = Credentials.load(self._home, self._passphrase, clock=self._clock)
                _check(found, self.now)
            except KapokError as error:
                _log.error("new credentials cannot be used: going on with the old", extra=_said(error))
                continue
            if found.fingerprint != self.now.fingerprint:
                self.now = found
                for told in self._told:
                    told()
                _log.info("new credentials", extra={"party": str(found.name)})


def _check(found: Credentials, credentials: Credentials) -> None:
    if found.name != credentials.name or found.root_pem != credentials.root_pem:
        raise IdentityInvalid(
            f"the new certificate is that of {found.name}, or of another trust domain",
            code="other_identity",
            remedy=f"enrol {credentials.name} again, or restart to run under the other name",
        )


def _marks(files: Sequence[Path]) -> Marks:
    """What changes when a file is replaced; None for one that is not there."""
    marks: list[tuple[int, int] | None] = []
    for file in files:
        try:
            found = file.stat()
            marks.append((found.st_ino, found.st_mtime_ns))
        except OSError:
            marks.append(None)
    return tuple(marks)


def _said(error: KapokError) -> dict[str, object]:
    return {"code": error.code, "what": error.message, "remedy": error.remedy}
