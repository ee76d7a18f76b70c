"""A pool of worker processes, which take chunks of long work, one for each further core.

Threads do not help here. A block's calls of NumPy take microseconds each, and two threads hand the
interpreter's lock to each other at every one: measured at 2048 bits on two cores, they encrypt 0.85 times,
and decrypt 0.6 times, as fast as one alone. Processes share nothing but a table (decision 14).

    caller ──setup, chunk──▶ worker     over a socket pair; the table as a descriptor of shared memory
    caller ◀────digits────── worker     what it does not answer, the caller does itself

A worker is started when work will go on for seconds, serves one caller at a time, is kept for the next
work, and ends when it has been idle for a while or its caller's process ends. What it is given stays on this
machine, in a process of the same user, and a secret modulus is forgotten with the work that needed it.
Results do not depend on who did which chunk.
"""

from __future__ import annotations

import atexit
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from kapok.errors.secrecy import NeverPickled

__all__ = [
    "CHUNK",
    "FORGET",
    "WORK",
    "SharedWork",
    "FixedBaseWork",
    "Help",
    "PowerWork",
    "Shared",
    "Work",
    "as_bytes",
    "available_cores",
    "receive",
    "send",
    "shared_zeros",
    "stay_alone",
]

Shared = npt.NDArray[np.float32]
"""An array in memory that a descriptor names."""

_START_FOR_S: Final = 1.5
"""Seconds of work left for which a worker is started: it takes a third of a second to come."""
_CALL_FOR: Final = 256
"""Elements of work for which those that are there are called at once."""
_IDLE_S: Final = 60.0
_SILENCE_S: Final = 120.0
"""How long a chunk, the work of a second, is waited for: a process that hangs is as one that has ended."""
_LENGTH: Final = struct.Struct("<Q")

WORK: Final = b"W"
CHUNK: Final = b"C"
FORGET: Final = b"F"
"""Kinds of messages, their first part."""


class PowerWork(NeverPickled, msgspec.Struct, frozen=True, tag="power", eq=False):
    """Powers with one exponent; modulus and exponent are as secret as a private key.

    Attributes:
        modulus: N, little-endian.
        degree: s.
        exponent: Little-endian.
    """

    modulus: bytes
    degree: int
    exponent: bytes

    def __repr__(self) -> str:
        return "<PowerWork>"


class FixedBaseWork(msgspec.Struct, frozen=True, tag="fixed-base", eq=False):
    """Powers of one base from its table, whose descriptor goes with this.

    Attributes:
        modulus: N, little-endian.
        degree: s.
        comb: The layout: exponent_bits, rows, groups, steps.
    """

    modulus: bytes
    degree: int
    comb: tuple[int, int, int, int]


Work = PowerWork | FixedBaseWork
"""What a worker is told once, before the chunks."""


@dataclass(frozen=True, slots=True)
class SharedWork:
    """Work that workers can take part in.

    Attributes:
        work: What they are told first.
        operands: Rows (count, …), uint8: a chunk of them goes to a worker.
        out: Where its digits come to lie, (count, parts, width), uint8.
        table: Descriptor of the table's memory, for `FixedBaseWork`.
    """

    work: Work
    operands: tuple[npt.NDArray[np.uint8], ...]
    out: npt.NDArray[np.uint8]
    table: int | None = None


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_bytes(number: int) -> bytes:
    """A number as `Work` has it, little-endian."""
    return number.to_bytes(-(-number.bit_length() // 8), "little")


def shared_zeros(shape: tuple[int, ...]) -> tuple[Shared, int | None]:
    """Zeros, and the descriptor by which workers find them; None where the system has none such."""
    octets = 4 * int(np.prod(shape))
    if not hasattr(os, "memfd_create"):
        return np.zeros(shape, dtype=np.float32), None
    descriptor = os.memfd_create("kapok-table")
    os.ftruncate(descriptor, octets)
    room = mmap.mmap(descriptor, octets)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        room.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(room, dtype=np.float32).reshape(shape), descriptor


def send(channel: socket.socket, *parts: bytes | memoryview) -> None:
    """One message: a number of parts, each with its length.

    Raises:
        OSError: the other side is gone.
    """
    channel.sendall(_LENGTH.pack(len(parts)))
    for part in parts:
        channel.sendall(_LENGTH.pack(len(part)))
        channel.sendall(part)


def receive(channel: socket.socket) -> list[bytearray]:
    """The parts of the next message.

    Raises:
        OSError: the other side is gone.
    """
    (count,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return [_exactly(channel, _LENGTH.unpack(_exactly(channel, _LENGTH.size))[0]) for _ in range(count)]


def _exactly(channel: socket.socket, octets: int) -> bytearray:
    body = bytearray(octets)
    view = memoryview(body)
    while view:
        received = channel.recv_into(view)
        if not received:
            raise ConnectionError("the other process has ended")
        view = view[received:]
    return body


class _WorkerProcess:
    """A process that works for this one."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(_SILENCE_S)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "kapok.protocols.arithmetic.worker_process", str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
        except OSError:
            self._channel.close()
            raise
        self._told: Work | None = None

    def do(self, shared: SharedWork, chunk: slice) -> None:
        """Have a chunk done.

        Raises:
            OSError: it has ended.
        """
        if self._told is not shared.work:
            send(self._channel, WORK, msgspec.msgpack.encode(shared.work))
            if shared.table is not None:
                socket.send_fds(self._channel, [b"\0"], [shared.table])
            self._told = shared.work
        send(self._channel, CHUNK, *(rows[chunk].tobytes() for rows in shared.operands))
        (digits,) = receive(self._channel)
        out = shared.out[chunk]
        out[...] = np.frombuffer(digits, dtype=np.uint8).reshape(out.shape)

    def forget(self) -> None:
        """Have it forget what it was told, if that was secret.

        Raises:
            OSError: it has ended.
        """
        if isinstance(self._told, PowerWork):
            send(self._channel, FORGET)
            self._told = None

    def let_go(self) -> None:
        """Have nothing to do with it in this process."""
        self._channel.close()

    def close(self) -> None:
        """Let it end: it does so when nothing more can come."""
        self._channel.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class _Pool:
    """The workers of this process; safe to share between threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: list[_WorkerProcess] = field(default_factory=list)
    busy: int = 0
    starts: bool = True
    timer: threading.Timer | None = None

    def acquire(self, *, may_start: bool) -> list[_WorkerProcess]:
        """Every worker that is idle; and, where some may be started, one for each further core."""
        with self.lock:
            called, self.idle = self.idle, []
            missing = available_cores() - 1 - self.busy - len(called)
            try:
                while may_start and self.starts and missing > 0:
                    called.append(_WorkerProcess())
                    missing -= 1
            except OSError:
                # No process is to be had: work is done without from now on.
                self.starts = False
            self.busy += len(called)
            return called

    def give_back(self, workers: Sequence[_WorkerProcess], lost: Sequence[_WorkerProcess]) -> None:
        """Take them back; those that are lost end."""
        for worker in lost:
            worker.close()
        with self.lock:
            self.busy -= len(workers) + len(lost)
            self.idle += workers
            if self.timer is not None:
                self.timer.cancel()
            self.timer = threading.Timer(_IDLE_S, self.end_idle)
            self.timer.daemon = True
            self.timer.start()

    def end_idle(self) -> None:
        """End those that are idle."""
        with self.lock:
            going, self.idle = self.idle, []
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
        for worker in going:
            worker.close()

    def leave_to_parent(self) -> None:
        """Have none in a forked process: some thread of the parent may have held the lock."""
        self.lock = threading.Lock()
        for worker in self.idle:
            worker.let_go()
        self.idle, self.busy, self.starts, self.timer = [], 0, False, None


_pool = _Pool()
atexit.register(_pool.end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.leave_to_parent)


def stay_alone() -> None:
    """Have no worker processes of one's own."""
    _pool.starts = False


class Help:
    """Workers that take chunks of one work from the supply that its caller works through, too."""

    def __init__(self, shared: SharedWork, count: int, supply: Iterator[slice]) -> None:
        """Who is idle helps at once, if there is enough to do.

        Args:
            shared: What is to be done.
            count: All its elements.
            supply: Its chunks; every one is taken once, whoever asks.
        """
        self._shared = shared
        self._count = count
        self._supply = supply
        self._began = monotonic()
        self._threads: list[threading.Thread] = []
        self._called: list[_WorkerProcess] = []
        self._lost: list[_WorkerProcess] = []
        self.missed: list[slice] = []
        if count >= _CALL_FOR:
            self._call(may_start=False)

    def consider(self, done: int) -> None:
        """Start workers if nobody helps and what is left is worth it.

        Args:
            done: Elements that the caller has done so far.
        """
        if self._called or done >= self._count:
            return
        if (monotonic() - self._began) / done * (self._count - done) >= _START_FOR_S:
            self._call(may_start=True)

    def _call(self, *, may_start: bool) -> None:
        self._called = _pool.acquire(may_start=may_start)
        for worker in self._called:
            thread = threading.Thread(target=self._keep_busy, args=(worker,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Wait for those who help. Chunks that were lost with a worker are in `missed`."""
        for thread in self._threads:
            thread.join()
        if self._called:
            kept = [worker for worker in self._called if worker not in self._lost]
            _pool.give_back(kept, self._lost)

    def _keep_busy(self, worker: _WorkerProcess) -> None:
        for chunk in self._supply:
            try:
                worker.do(self._shared, chunk)
            except Exception:  # noqa: BLE001  whatever it is, nobody else would do this chunk, and its room holds nothing
                self.missed.append(chunk)
                self._lost.append(worker)
                return
        try:
            worker.forget()
        except OSError:
            self._lost.append(worker)
