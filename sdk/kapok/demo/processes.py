"""Operating-system processes of the demonstration: started, watched, measured and ended by their numbers.

Every process is `python -m kapok.cli …` with a folder of its own; they share the loopback interface alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from kapok.errors import InternalError

__all__ = ["Daemon", "Finished", "call", "command_line", "peak_memory"]

_READY_S: Final = 180.0
_STOP_S: Final = 10.0
_SAMPLE_S: Final = 0.02
_TAIL: Final = 2000


def command_line(arguments: Sequence[str], home: Path) -> list[str]:
    """The command line of one process of Kapok with its own folder."""
    return [sys.executable, "-m", "kapok.cli", *arguments, "--home", str(home)]


def environment() -> dict[str, str]:
    """This process's environment without what would reach into the demonstration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KAPOK_")}


def peak_memory(pid: int) -> int | None:
    """The largest resident memory that a running process has had, in bytes; None where nobody tells."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended: its status, what it wrote, and its largest resident memory in bytes."""

    status: int
    stdout: str
    stderr: str
    peak_memory: int | None

    def document(self) -> Any:
        """The one JSON document that it printed.

        Raises:
            InternalError: ``no_document``: it printed none; says how it ended.
        """
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise InternalError(
                f"no document was printed, exit status {self.status}: {self.stderr[-2000:]}",
                code="no_document",
            ) from None


class Daemon:
    """A process that runs until it is stopped. Its log is ``<home>/log.jsonl``."""

    def __init__(self, name: str, arguments: Sequence[str], home: Path) -> None:
        """Know how to start it; nothing runs yet."""
        self.name = name
        self.home = home
        self.log = home / "log.jsonl"
        self.address = ""
        self.peak_memory: int | None = None
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C in the terminal is ours alone to hand on."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command_line(self._arguments, self.home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )

    def wait_ready(self) -> str:
        """Wait until it says that it is ready; return the address that it says.

        Raises:
            InternalError: ``not_ready``: it ended, or said nothing in time.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise AssertionError("start it first")
        line = _line(process.stdout, _READY_S)
        try:
            self.address = str(json.loads(line)["ready"])
        except (ValueError, KeyError, TypeError):
            raise InternalError(
                f"{self.name} did not become ready: {self.last_words()}", code="not_ready"
            ) from None
        return self.address

    def last_words(self) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return text[-_TAIL:].strip() or "(it logged nothing)"

    def log_entries(self) -> list[dict[str, Any]]:
        """What it has logged, one JSON object per line; lines that are none are left out."""
        entries: list[dict[str, Any]] = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    entries.append(entry)
        return entries

    def sample(self) -> None:
        """Note the largest memory that it has had so far."""
        if self.pid is not None:
            self.peak_memory = max(peak_memory(self.pid) or 0, self.peak_memory or 0) or None

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it runs, and do not wait."""
        self.sample()
        if self.pid is not None and self._process is not None:
            self._process.terminate()

    def stop(self) -> int | None:
        """End it: SIGTERM, and SIGKILL if that does not help. Returns its exit status."""
        self.ask_to_stop()
        if self._process is None:
            return None
        try:
            status = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._forget()
        return status

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        self.sample()
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._forget()

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def _line(stream: IO[bytes], patience_s: float) -> bytes:
    """One line, or what there was of it when the stream ended or patience did."""
    until, got = time.monotonic() + patience_s, b""
    while not got.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(until - time.monotonic(), 0))
        piece = os.read(stream.fileno(), 4096) if ready else b""
        if not piece:
            break
        got += piece
    return got


def call(
    arguments: Sequence[str],
    home: Path,
    *,
    given: str | None = None,
    show_progress: bool = False,
    extra: Mapping[str, str] | None = None,
) -> Finished:
    """Run one command to its end.

    Args:
        arguments: Of `kapok`, without ``--home``.
        home: Its folder.
        given: What it reads from its standard input.
        show_progress: Let its standard error go to ours.
        extra: More variables of the environment.
    """
    process = subprocess.Popen(
        command_line(arguments, home),
        stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if show_progress else subprocess.PIPE,
        env=environment() | dict(extra or {}),
        text=True,
        start_new_session=True,
    )
    sampler = _Sampler(process.pid)
    try:
        stdout, stderr = process.communicate(given)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    finally:
        sampler.stop()
    return Finished(process.returncode, stdout, stderr or "", sampler.peak)


class _Sampler:
    """Looks at a short process's memory again and again, for afterwards nobody can."""

    def __init__(self, pid: int) -> None:
        self.peak: int | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def _watch(self, pid: int) -> None:
        while not self._done.wait(_SAMPLE_S):
            self.peak = max(peak_memory(pid) or 0, self.peak or 0) or None

    def stop(self) -> None:
        self._done.set()
        self._thread.join()
