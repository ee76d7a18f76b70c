"""What the daemons of authority, broker and node share: a folder to themselves, an end, an ear for SIGHUP.

`chores` keeps work in the background going; `metrics` tells what they count, in Prometheus' format.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kapok.errors import InvalidInput

__all__ = ["alone", "room_for_connections", "runs", "stopped_by_sigterm", "told_by_sighup"]

_GLANCE_S: Final = 0.2


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
            if runs(folder, what):
                time.sleep(_GLANCE_S)  # or somebody else only looks whether it does
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


def runs(folder: Path, what: str) -> bool:
    """Whether a daemon has its folder to itself just now; False where this user cannot tell.

    Args:
        folder: As in `alone`.
        what: As in `alone`.
    """
    try:
        descriptor = os.open(folder / f"{what}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def room_for_connections() -> int:
    """Let this process have as many files open as the system lets it, for each connection is one.

    Returns:
        How many that are.
    """
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if least != most:
        # A system that says no leaves it as it was: there is room for fewer, and that is told.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextmanager
def stopped_by_sigterm(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at SIGTERM. Ctrl-C cancels the task that waits for it, which is an end as well."""
    with _handled(signal.SIGTERM, stop.set):
        yield


@contextmanager
def told_by_sighup(work: Callable[[], None]) -> Iterator[None]:
    """Do some work, off the event loop, at each SIGHUP; one after the other.

    Args:
        work: Raises nothing: nobody would hear of it.
    """
    one_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sighup")
    try:
        with _handled(signal.SIGHUP, lambda: one_at_a_time.submit(work)):
            yield
    finally:
        one_at_a_time.shutdown(wait=True)


@contextmanager
def _handled(number: signal.Signals, work: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # Outside the main thread there are no signals to handle.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(number, work)
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(number)


def _bad_folder(folder: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"the folder {folder} cannot be locked: {error.strerror}",
        code="bad_folder",
        remedy="see that this user may write there, or name another folder with --home",
    )
