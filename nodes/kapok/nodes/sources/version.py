"""Data versions: which state of a table an answer was computed from.

HMAC-SHA-256, under a key of this node alone, of a digest of the data and of what the settings say of how they
are read: a bare digest would confirm guesses about the content. A table that cannot be read has a version
too, of the same shape: it must not show that it failed.

Of files the digest is over the SHA-256 of each, sorted: names and order say nothing about the data. Each is
taken anew whenever that file's identity, size or times have changed, and not at every question. Of a
database it is taken in the database (`postgres`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kapok.errors.secrecy import NeverPickled

__all__ = ["FileDigests", "VersionKey"]

_NOTHING: Final = b"\0" * 32


class VersionKey(NeverPickled):
    """The node's key for data versions. Never printed, never pickled."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def version(self, definition: bytes, content: bytes | None) -> str:
        """Name a state, 64 hexadecimal digits.

        Args:
            definition: What the settings say of how the data are read.
            content: A digest of the data; None when they cannot be read.
        """
        state = content and hashlib.sha256(definition).digest() + content
        return hmac.new(self._key, b"kapok data version\0" + (state or _NOTHING), hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "VersionKey(<hidden>)"


class FileDigests:
    """Digests of files, kept for as long as nothing shows that a file has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[tuple[int, ...], bytes]] = {}

    def together(self, paths: Iterable[Path]) -> bytes:
        """One digest of the contents of all.

        Raises:
            OSError: a file is not there, or cannot be read.
        """
        return hashlib.sha256(b"".join(sorted(map(self._digest, paths)))).digest()

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


def _mark(path: Path) -> tuple[int, ...]:
    """What changes when the file does; ctime sees a copy that kept its modification time."""
    found: os.stat_result = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
