"""What the daemons of authority, broker and node share: a folder to themselves, and an end at SIGTERM."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kapok.errors import InvalidInput

__all__ = ["alone", "stopped_by_sigterm"]


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Refuse to run twice over one folder: each would take the other's work for its own.

    The lock is the operating system's and ends with the process, however that ends.

    Args:
        folder: Whose lock file, ``<what>.lock``, is held meanwhile.
        what: The daemon's kind, as it is said to people: ``broker``.

    Raises:
        InvalidInput: ``already_running``, or ``bad_folder`` when the folder does not take a lock.
    """
    try:
        descriptor = os.open(folder / f"{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _bad_folder(folder, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"the {what} of {folder} runs already",
                code="already_running",
                remedy="stop it first, or name another folder with --home",
            ) from None
        except OSError as error:
            raise _bad_folder(folder, error) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def stopped_by_sigterm(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at SIGTERM. Ctrl-C cancels the task that waits for it, which is an end as well."""
    loop = asyncio.get_running_loop()
    # Outside the main thread there are no signals to handle: `stop` alone ends it there.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGTERM)


def _bad_folder(folder: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"the folder {folder} cannot be locked: {error.strerror}",
        code="bad_folder",
        remedy="see that this user may write there, or name another folder with --home",
    )
