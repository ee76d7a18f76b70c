"""The thread that an app's process lives and dies with: it drains what the app prints, and weighs the tree.

The kernel keeps the limits of each single process. What no single process shows is weighed here, ten times
a second: the memory of all of them, the number of files, the length of what is printed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from kapok.errors import InternalError
from kapok.nodes.apps.endings import Ending, ending_of
from kapok.nodes.apps.limits import MIB, AppLimits
from kapok.nodes.apps.sandbox import Room

__all__ = ["Watch"]

_EVERY_S: Final = 0.1
_KEPT_OUTPUT: Final = 64 * 1024
_BLOCK: Final = 64 * 1024
_MOST_FILES: Final = 10_000
_GRACE_S: Final = 10.0
_MARK: Final = (
    b"# Printed by an app beside the data, for the holder alone: it may hold values from the table. "
    b"Only the beginning is kept.\n"
)
_SHOWN: Final = bytes.maketrans(bytes(range(32)) + b"\x7f", b"?" * 9 + b"\t\n" + b"?" * 22)
"""Signs that a terminal obeys, as question marks: whoever looks at the file runs nothing of it."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Starts a process and stays with it.

    The kernel ends a sandbox with the *thread* that started it, so that nothing outlives a node that is
    killed: therefore this thread starts it, and lives as long.

    Attributes:
        over: Whether the process has ended.
    """

    def __init__(self, room: Room, ends: tuple[int, int], limits: AppLimits, output: Path) -> None:
        """Start it.

        Args:
            room: The command.
            ends: The descriptors of its two pipes: requests, replies.
            limits: What it may use.
            output: File for what it prints; a longer one is cut.

        Raises:
            InternalError: ``app_not_started``.
        """
        self._room, self._ends, self._limits, self._output = room, ends, limits, output
        self._process: subprocess.Popen[bytes] | None = None
        self._ending: Ending | None = None
        self._lock = threading.Lock()
        self.over = False
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._live, name="app", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._process is None:
            raise InternalError(
                "an app's process could not be started",
                code="app_not_started",
                remedy="see that the machine has room for another process",
            )

    def ending(self) -> Ending:
        """Why it ended. Waits a while for that, and calls it a crash where it only closed its pipes."""
        self._thread.join(_GRACE_S)
        self._note(Ending.CRASHED)
        with self._lock:
            return self._ending or Ending.CRASHED

    def end(self, ending: Ending) -> None:
        """Kill the process with all that it started, and wait for that.

        The first reason is the one that stays.
        """
        self._note(ending)
        if self._process is not None and not self.over:
            self._kill(self._process)
        self._thread.join(_GRACE_S)

    def _note(self, ending: Ending) -> None:
        with self._lock:
            self._ending = self._ending or ending

    def _live(self) -> None:
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC)
        except OSError:
            self._started.set()
            return
        with os.fdopen(reader, "rb", buffering=0) as printed:
            try:
                self._process = self._start(writer)
            except OSError:
                return
            finally:
                os.close(writer)
                self._started.set()
            try:
                self._stay(self._process, printed.fileno())
            finally:
                self._kill(self._process)
                self._note(ending_of(self._process.wait()))
                self.over = True

    def _start(self, writer: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._room.command, *map(str, self._ends)],
            env=self._room.environment,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            pass_fds=self._ends,
            start_new_session=True,
            cwd="/",
        )

    def _stay(self, process: subprocess.Popen[bytes], printed: int) -> None:
        """Until it ends, or has to be ended."""
        os.set_blocking(printed, False)
        descriptor = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            if file.tell() == 0:
                file.write(_MARK)
            most = self._limits.output_mib * MIB
            length, weighed = 0, 0.0
            readable = select.poll()  # `select` knows descriptors below 1,024 alone
            readable.register(printed, select.POLLIN)
            while process.poll() is None and length <= most:
                if not readable.poll(_EVERY_S * 1000):
                    pass
                elif (found := self._drain(printed, file)) == 0:
                    time.sleep(_EVERY_S)
                else:
                    length += found
                if time.monotonic() - weighed >= _EVERY_S:
                    if (heavy := self._too_heavy(process.pid)) is not None:
                        self._note(heavy)
                        break
                    weighed = time.monotonic()
            if length > most:
                self._note(Ending.PRINTED_TOO_MUCH)
            self._drain(printed, file)

    def _drain(self, printed: int, file: BinaryIO) -> int:
        """Take what is there just now, and keep the beginning of all; how much it was."""
        try:
            part = os.read(printed, _BLOCK)
        except BlockingIOError:
            return 0
        file.write(part[: max(0, _KEPT_OUTPUT - file.tell())].translate(_SHOWN))
        return len(part)

    def _too_heavy(self, pid: int) -> Ending | None:
        tree = list(_tree(pid))
        most = self._limits.memory_mib * MIB
        # Pages that processes share count once for each of them first: the cheap look, and mostly enough.
        if sum(map(_resident, tree)) > most and sum(map(_proportional, tree)) > most:
            return Ending.OUT_OF_MEMORY
        if self._room.walls and _files_in_scratch(tree) > _MOST_FILES:
            return Ending.SCRATCH_FULL
        return None

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the tree. All that is in a sandbox dies with its first process; else each is killed."""
        tree = list(_tree(process.pid))
        for pid in tree[1:2] if self._room.walls else tree[1:]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Bubblewrap buries the sandbox's first process, and ends.
            process.wait(_GRACE_S if self._room.walls and tree[1:] else 0)
        process.kill()
        until = time.monotonic() + _GRACE_S
        while any(_alive(pid) for pid in tree[1:]) and time.monotonic() < until:
            time.sleep(0.005)


def _tree(pid: int) -> Iterator[int]:
    """A process and all that descend from it, as far as can be seen just now; those nearer to it first."""
    waiting = deque([pid])
    while waiting:
        yield (found := waiting.popleft())
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{found}/task").iterdir():
                # A thread may end before it is looked at: those after it have children as well.
                with contextlib.suppress(OSError, ValueError):
                    waiting.extend(map(int, (task / "children").read_text().split()))


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _proportional(pid: int) -> int:
    """Resident bytes, of shared pages this process's share; all of them where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(pid)


def _files_in_scratch(tree: list[int]) -> int:
    """How many files the sandbox's scratch folder holds."""
    with contextlib.suppress(OSError, IndexError):
        found = os.statvfs(f"/proc/{tree[1]}/root/tmp")
        return found.f_files - found.f_ffree
    return 0


def _alive(pid: int) -> bool:
    """Whether a process is there and no corpse."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
