"""Files of the node's state folder that are written whole or not at all; secret ones have mode 0600.

Two of them are keys: ``version.key`` (HMAC key of data versions) and ``tag.key`` (private half of the key to
which analysts wrap tag seeds). Neither ever leaves the node.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kapok.errors import InvalidInput
from kapok.identity.keyfiles import read_private_file, write_new_file

__all__ = ["load_or_make", "write_durably"]


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return a secret file's bytes; when there is none, make them first, durably.

    Raises:
        IdentityInvalid: ``key_file_too_open`` when others than its owner may read it.
        InvalidInput: ``bad_file`` when it cannot be written.
    """
    if not path.exists():
        write_new_file(path, make())
    return read_private_file(path)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file as a whole, mode 0600: after a crash either the old content is there or the new.

    Raises:
        InvalidInput: ``bad_file`` when it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}",
            code="bad_file",
            remedy="see that the node's user owns the folder and may write it, and that the disk is not full",
        ) from None
