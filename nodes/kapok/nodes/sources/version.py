"""Data versions: which state of a table an answer was computed from.

HMAC-SHA-256 of the file's SHA-256 under a key of this node alone: a bare digest would confirm guesses about
the content. A table that cannot be read has a version too, of the same shape: it must not show that it
failed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from pathlib import Path
from typing import Final

from kapok.errors.secrecy import NeverPickled

__all__ = ["VersionKey"]

_NO_FILE: Final = b"\0" * 32


class VersionKey(NeverPickled):
    """The node's key for data versions, and what it last knew of each file. Never printed, never pickled."""

    __slots__ = ("_key", "_lock", "_seen")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[tuple[int, ...], bytes]] = {}

    def version(self, path: Path) -> tuple[str, bool]:
        """Return the version of a file, 64 hexadecimal digits, and whether there was a file to read.

        The digest is taken anew whenever the file's identity, size or times have changed.
        """
        try:
            digest = self._digest(path)
        except OSError:
            return self._name(_NO_FILE), False
        return self._name(digest), True

    def _digest(self, path: Path) -> bytes:
        mark = _mark(path)
        with self._lock:
            seen = self._seen.get(path)
        if seen and seen[0] == mark:
            return seen[1]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        with self._lock:
            if _mark(path) == mark:
                self._seen[path] = (mark, digest)
            else:
                self._seen.pop(path, None)
        return digest

    def _name(self, digest: bytes) -> str:
        return hmac.new(self._key, b"kapok data version\0" + digest, hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "VersionKey(<hidden>)"


def _mark(path: Path) -> tuple[int, ...]:
    """What changes when the file does; ctime sees a copy that kept its modification time."""
    found: os.stat_result = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
