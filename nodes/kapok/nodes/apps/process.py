"""An app at work for one job: messages in, replies out, one at a time; stopped as a whole tree.

The node starts it, feeds it by one pipe, reads it by another, and believes nothing of what comes back. What
it prints goes to a file of the holder's, for it may be data. What an error says is Kapok's own words.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import select
import shutil
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from kapok.documents.bundle import Bundle, ConfigValue, read_bundle, unpack
from kapok.errors import LocalProtocolError
from kapok.errors.secrecy import NeverPickled
from kapok.identity.keyfiles import make_private_folder
from kapok.nodes.apps.approval import Isolation
from kapok.nodes.apps.endings import Ending, ended, failure
from kapok.nodes.apps.environment import app_environment
from kapok.nodes.apps.limits import MIB, AppLimits
from kapok.nodes.apps.sandbox import Room, plain_room, sandboxed_room
from kapok.nodes.apps.seccomp import seccomp_filter
from kapok.nodes.apps.watch import Watch

__all__ = ["AppProcess", "AppTask", "start_app"]


_HEADER: Final = struct.Struct(">BQ")
_SETUP, _FILTER, _STATE, _MESSAGE, _READY, _REPLY, _FAILED = range(1, 8)
_BLOCK: Final = 2**20
_LOOK_MS: Final = 100
_LOAD_S: Final = 120.0
_MOST_OPEN_FILES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AppTask:
    """What an app's process is started for.

    Attributes:
        job_id: Lower-case hex, for the names of folder and file.
        bundle: The bundle's bytes.
        bundle_hash: The approved SHA-256 of them, lower-case hex.
        run_config: The app's whole configuration, defaults and overrides, by dotted names.
        node_config: What Flower calls so; published apps read ``partition-id`` and ``num-partitions``.
        run_id: Of the job, 64 bits; the same at each node.
        node_id: Of this node in it, 64 bits.
        partition: Parquet file with the approved columns, readable by whoever reaches its folder. It is
            moved to the process's own, and goes with it.
        rows: How many rows it has.
        limits: What it may use.
        isolation: Whether it is shut in.
        state: The context's state that an earlier process of this job handed out; empty for none.
    """

    job_id: str
    bundle: bytes = field(repr=False)
    bundle_hash: str
    run_config: Mapping[str, ConfigValue]
    node_config: Mapping[str, ConfigValue]
    run_id: int
    node_id: int
    partition: Path
    rows: int
    limits: AppLimits = field(default_factory=AppLimits)
    isolation: Isolation = "sandbox"
    state: bytes = field(default=b"", repr=False)


def start_app(
    task: AppTask, folder: Path, *, python: Path | None = None, hidden: tuple[Path, ...] = ()
) -> AppProcess:
    """Unpack the bundle into a fresh folder, and start its ClientApp.

    Args:
        task: What for.
        folder: The node's own folder for apps, which nobody else reads; made when it is missing.
        python: The interpreter; None for the node's own.
        hidden: Files and folders that must not be seen from the sandbox.

    Raises:
        InvalidInput: ``bundle_differs`` or what is wrong with the bundle; ``sandbox_unavailable``,
            ``sandbox_would_show``, ``bad_app_python``, ``flower_missing``; ``app_not_loaded`` and what
            `AppProcess.call` raises.
        TimedOut: ``app_timed_out``.
    """
    bundle = read_bundle(task.bundle, task.bundle_hash)
    environment, folder = app_environment(python), folder.absolute()
    own = folder / "jobs" / f"{task.job_id[:16]}-{secrets.token_hex(4)}"
    output = folder / "output" / f"{task.job_id}.txt"
    for made in (folder, own, output.parent):
        make_private_folder(made)
    process = None
    try:
        unpack(bundle, own / "app")
        partition = Path(shutil.move(task.partition, own / "partition.parquet"))
        if task.isolation == "sandbox":
            room = sandboxed_room(environment, own / "app", partition, task.limits, (folder, *hidden))
        else:
            (own / "scratch").mkdir()
            room = plain_room(environment, own / "app", partition, task.limits, own / "scratch")
        process = AppProcess(room, task, own, output)
        process._begin(_setup(room, task, bundle), task)
    except BaseException:
        if process is not None:
            process.close()
        shutil.rmtree(own, ignore_errors=True)
        raise
    return process


class AppProcess(NeverPickled):
    """A running app. Whoever starts one calls `close`; one that has failed is closed already.

    Attributes:
        rows: How many rows its partition has.
        state: The context's state after the last reply: another process of the same job can go on with it.
            Whatever the app keeps is in it, data too.
    """

    def __init__(self, room: Room, task: AppTask, own: Path, output: Path) -> None:
        self._limits = task.limits
        self._own = own
        self.rows, self.state = task.rows, task.state
        inner_requests, self._requests = os.pipe2(os.O_CLOEXEC)
        self._replies, inner_replies = os.pipe2(os.O_CLOEXEC)
        try:
            self._watch = Watch(room, (inner_requests, inner_replies), task.limits, output)
        except BaseException:
            os.close(self._requests)
            os.close(self._replies)
            raise
        finally:
            os.close(inner_requests)
            os.close(inner_replies)
        self._closed = False
        for end in (self._requests, self._replies):
            os.set_blocking(end, False)
            # A model goes through in as few turns of the two processes as the kernel grants, not in one for
            # every 64 KiB.
            with contextlib.suppress(OSError):
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _BLOCK)

    def call(self, message: bytes, timeout_s: float | None = None) -> bytes:
        """Let the app answer one message.

        Args:
            message: flwr's ``Message`` as protobuf bytes.
            timeout_s: For this call, where it is less than the limit.

        Returns:
            The reply as protobuf bytes, at most ``reply_mib``: unchecked, and made by the app.

        Raises:
            InvalidInput: ``app_crashed``, ``app_out_of_memory``, ``app_wrote_too_much``,
                ``app_too_many_processes``, ``app_denied``. After an error that the app raised another
                message may follow; else the process has ended.
            TimedOut: ``app_timed_out``; the process has ended.
            LocalProtocolError: ``app_closed``.
        """
        if self._closed:
            raise LocalProtocolError("the app's process has ended", code="app_closed", remedy="start it anew")
        most = self._limits.call_timeout_s
        deadline = time.monotonic() + (most if timeout_s is None else min(timeout_s, most))
        self._send(_MESSAGE, message, deadline)
        reply = self._receive(_REPLY, deadline)
        self.state = self._receive(_STATE, deadline)
        return reply

    def close(self) -> None:
        """Stop the process with all that it started, and remove its folder. Once is enough."""
        if self._closed:
            return
        self._closed = True
        self._watch.end(Ending.CLOSED)
        os.close(self._requests)
        os.close(self._replies)
        shutil.rmtree(self._own, ignore_errors=True)

    def _begin(self, setup: bytes, task: AppTask) -> None:
        """Tell the process what it is, and wait until the app is loaded."""
        # A machine with much to do loads slowly, and whoever is too late voids everybody's exchange.
        deadline = time.monotonic() + max(_LOAD_S, task.limits.call_timeout_s)
        self._send(_SETUP, setup, deadline)
        self._send(_FILTER, seccomp_filter() or b"", deadline)
        self._send(_STATE, task.state, deadline)
        self._receive(_READY, deadline)

    def _send(self, kind: int, content: bytes, deadline: float) -> None:
        for part in (memoryview(_HEADER.pack(kind, len(content))), memoryview(content)):
            while part:
                self._wait(self._requests, select.POLLOUT, deadline)
                try:
                    part = part[os.write(self._requests, part[:_BLOCK]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    self._fail(self._watch.ending())

    def _receive(self, kind: int, deadline: float) -> bytes:
        got, length = _HEADER.unpack(self._read(_HEADER.size, deadline))
        if got == _FAILED and length == 1:
            told = failure(self._read(1, deadline)[0], loading=kind == _READY)
            if kind == _READY:
                self._fail(told)
            raise ended(told, self._limits)
        if got != kind:
            self._fail(Ending.CRASHED)
        if length > self._limits.reply_mib * MIB:
            self._fail(Ending.REPLY_TOO_LARGE)
        return bytes(self._read(length, deadline))

    def _read(self, length: int, deadline: float) -> bytearray:
        content = bytearray()
        while len(content) < length:
            self._wait(self._replies, select.POLLIN, deadline)
            try:
                part = os.read(self._replies, min(length - len(content), _BLOCK))
            except BlockingIOError:
                continue
            if not part:
                self._fail(self._watch.ending())
            content += part
        return content

    def _wait(self, end: int, event: int, deadline: float) -> None:
        """Until a pipe is ready; its closing is an event too."""
        poll = select.poll()
        poll.register(end, event)
        while True:
            ready = poll.poll(_LOOK_MS)
            if time.monotonic() > deadline:
                self._fail(Ending.TIMED_OUT)
            if ready:
                return
            if self._watch.over:
                self._fail(self._watch.ending())

    def _fail(self, ending: Ending) -> NoReturn:
        self._watch.end(ending)
        reason = self._watch.ending()
        self.close()
        raise ended(reason, self._limits)


def _setup(room: Room, task: AppTask, bundle: Bundle) -> bytes:
    """What the process is told; the limits that hold for each of its processes are the kernel's to keep."""
    limits = task.limits
    kept = {
        "RLIMIT_AS": limits.memory_mib * MIB,
        "RLIMIT_FSIZE": limits.scratch_mib * MIB,
        "RLIMIT_NOFILE": _MOST_OPEN_FILES,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_CORE": 0,
    }
    if room.walls:
        # Counted in the sandbox alone. Without one it would count all that the node's user runs.
        kept["RLIMIT_NPROC"] = limits.processes
    return json.dumps(
        {
            "app": room.app,
            "client_app": bundle.client_app,
            "run_config": dict(task.run_config),
            "node_config": dict(task.node_config),
            "run_id": task.run_id,
            "node_id": task.node_id,
            "uid": room.uid,
            "alone": not room.walls,
            "cpus": limits.cpus,
            "limits": kept,
        }
    ).encode()
