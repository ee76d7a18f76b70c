"""The bundles that a holder has: files in the node's own folder, named by their hashes.

A bundle gets here by the holder's hand alone, never by the broker: whoever approves it has the very bytes
before, and reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kapok.documents.bundle import Bundle, read_bundle
from kapok.errors import InvalidInput, NotFound
from kapok.identity.keyfiles import make_private_folder

__all__ = ["Bundles"]

_LEAST_DIGITS: Final = 4
_DIGITS: Final = re.compile(r"[0-9a-f]{1,64}\Z")


class Bundles:
    """The folder of bundles of a node.

    Args:
        folder: Private; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, content: bytes) -> Bundle:
        """Keep a bundle; the same again is no change.

        Raises:
            InvalidInput: ``bad_bundle``, or ``bad_folder``.
        """
        bundle = read_bundle(content)
        path = self._path(bundle.hash)
        make_private_folder(self._folder)
        part = path.with_suffix(".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            part.rename(path)
        except OSError as error:
            raise InvalidInput(
                f"the bundle cannot be written to {self._folder}: {error.strerror}",
                code="bad_folder",
                remedy="see that the disk is not full, and that the node's user may write there",
            ) from None
        return bundle

    def content(self, digest: str) -> bytes:
        """The bytes of a bundle that is here, checked to be those.

        Args:
            digest: The whole hash, lower-case hex.

        Raises:
            NotFound: ``unknown_app``.
            InvalidInput: ``bundle_differs`` when the file was changed.
        """
        try:
            content = self._path(digest).read_bytes()
        except OSError:
            raise _unknown(digest) from None
        read_bundle(content, digest)
        return content

    def get(self, digest: str) -> Bundle:
        """A bundle that is here. Raises what `content` raises."""
        return read_bundle(self.content(digest))

    def find(self, beginning: str) -> str:
        """The hash of the one bundle that begins so.

        Raises:
            NotFound: ``unknown_app``.
            InvalidInput: ``ambiguous_app``.
        """
        if not _DIGITS.match(beginning) or len(beginning) < _LEAST_DIGITS:
            raise _unknown(beginning)
        found = [one for one in self if one.startswith(beginning)]
        if not found:
            raise _unknown(beginning)
        if found[1:]:
            raise InvalidInput(
                f"several apps begin with {beginning}", code="ambiguous_app", remedy="give more digits"
            )
        return found[0]

    def remove(self, digest: str) -> None:
        """Delete a bundle: it cannot be run here any more.

        Raises:
            NotFound: ``unknown_app``.
        """
        try:
            self._path(digest).unlink()
        except OSError:
            raise _unknown(digest) from None

    def __iter__(self) -> Iterator[str]:
        """The hashes, sorted."""
        return iter(sorted(path.stem for path in self._folder.glob("*.fab")))

    def __contains__(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def _path(self, digest: str) -> Path:
        if not _DIGITS.match(digest):
            raise _unknown(digest)
        return self._folder / f"{digest}.fab"


def _unknown(digest: str) -> NotFound:
    return NotFound(
        f"there is no app {digest} here",
        code="unknown_app",
        remedy="see `kapok node apps`; a bundle is brought here with `kapok node apps add FILE`",
    )
