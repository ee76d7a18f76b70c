"""Secret files of the node's state folder: made once, mode 0600, refused when others may read them.

Two of them: ``version.key`` (HMAC key of data versions) and ``tag.key`` (private half of the key to which
analysts wrap tag seeds). Neither ever leaves the node.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from kapok.errors import IdentityInvalid, InvalidInput

__all__ = ["load_or_make", "private_folder", "write_durably"]


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the file's bytes; when there is none, make them first, durably.

    Raises:
        IdentityInvalid: ``key_file_readable`` when others than its owner may read it.
        InvalidInput: ``bad_state_folder`` when it can be neither read nor written.
    """
    try:
        try:
            with path.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise IdentityInvalid(
                        f"{path} can be read by others",
                        code="key_file_readable",
                        remedy=f"chmod 600 {path}; if others have read it, delete it: a new one is made",
                    )
                if content := file.read():
                    return content
        except FileNotFoundError:
            pass
        content = make()
        write_durably(path, content)
    except OSError as error:
        raise _unusable(path, error) from None
    return content


def private_folder(path: Path) -> Path:
    """Make the folder, mode 0700, if it is not there.

    Raises:
        InvalidInput: ``bad_state_folder``.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from None
    return path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file as a whole, mode 0600: after a crash either the old content is there or the new.

    Raises:
        OSError: as the system says.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be used: {error.strerror}",
        code="bad_state_folder",
        remedy="see that the node's user owns the folder and may write it, and that the disk is not full",
    )
