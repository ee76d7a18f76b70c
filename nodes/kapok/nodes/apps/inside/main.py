"""An app's process: locks itself up, loads the ClientApp, answers one message at a time.

    python main.py REQUESTS REPLIES        two inherited pipes, by their descriptors

What comes in and goes out is framed: kind (1 byte), length (8 bytes, big-endian), content. No pickle.
Nothing that this program says is believed: an app can do all that it can, and whoever reads its replies
checks them.

It needs flwr, and nothing of Kapok. Until the app is imported only this file has run.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import struct
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Final

HEADER: Final = struct.Struct(">BQ")
SETUP, FILTER, STATE, MESSAGE, READY, REPLY, FAILED = range(1, 8)
CRASHED, OUT_OF_MEMORY, WROTE_TOO_MUCH, TOO_MANY_PROCESSES, DENIED, NOT_LOADED = range(1, 7)

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_SIGKILL: Final = 9
_WORST_TO_THE_KERNEL: Final = 1000
_REASONS: Final = {
    errno.ENOMEM: OUT_OF_MEMORY,
    errno.ENOSPC: WROTE_TOO_MUCH,
    errno.EFBIG: WROTE_TOO_MUCH,
    errno.EDQUOT: WROTE_TOO_MUCH,
    errno.EAGAIN: TOO_MANY_PROCESSES,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EROFS: DENIED,
    errno.ENETUNREACH: DENIED,
}


class _Program(ctypes.Structure):
    """``struct sock_fprog``: how many instructions of 8 bytes, and where."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def lock_up(setup: Any, program: bytes) -> None:
    """Give up everything that an app does not need; nothing of it can be had back.

    Args:
        setup: What the node says: ``uid`` to become (0 to stay), ``alone`` without a process tree of its own,
            ``cpus``, and ``limits`` by their names in `resource`.
        program: The seccomp filter, as the kernel takes it.
    """
    with contextlib.suppress(OSError):
        # What has become another user may not write there any more.
        Path("/proc/self/oom_score_adj").write_text(str(_WORST_TO_THE_KERNEL), encoding="ascii")
    if setup.uid:
        os.setgroups([])
        os.setresgid(setup.uid, setup.uid, setup.uid)
        os.setresuid(setup.uid, setup.uid, setup.uid)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-setup.cpus :])
    for name, most in setup.limits.items():
        resource.setrlimit(getattr(resource, name), (most, most))
    if setup.alone:
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    instructions = ctypes.create_string_buffer(program, len(program))
    filled = _Program(len(program) // 8, ctypes.cast(instructions, ctypes.c_char_p))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filled))


def _prctl(option: int, first: int, second: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) for word in (first, second, 0, 0)]
    if libc.prctl(ctypes.c_int(option), *words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until there are no more messages."""
    setup = SimpleNamespace(**json.loads(_read(requests, SETUP)))
    lock_up(setup, _read(requests, FILTER))
    earlier = _read(requests, STATE)
    app = context = None
    with _reported(replies, NOT_LOADED):
        app, context = _load(setup, earlier)
        _write(replies, READY, b"")
    while app is not None and (message := _read(requests, MESSAGE, last=True)):
        with _reported(replies, CRASHED):
            reply, state = _answer(app, context, message)
            _write(replies, REPLY, reply)
            _write(replies, STATE, state)


@contextlib.contextmanager
def _reported(replies: BinaryIO, reason: int) -> Iterator[None]:
    """Say which kind of failure it was, in one byte; its text goes to the holder's own file of output."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - an app may raise anything, SystemExit too
        traceback.print_exc()
        _write(replies, FAILED, bytes([_reason(error, reason)]))


def _reason(error: BaseException, otherwise: int) -> int:
    """The kind of failure, found in the error or in what it was raised from."""
    seen: BaseException | None = error
    for _ in range(16):
        if isinstance(seen, MemoryError):
            return OUT_OF_MEMORY
        if isinstance(seen, OSError) and seen.errno in _REASONS:
            return _REASONS[seen.errno]
        if seen is None:
            break
        seen = seen.__cause__ or seen.__context__
    return otherwise


def _load(setup: Any, earlier: bytes) -> tuple[Any, Any]:
    """Import the ClientApp and make its context."""
    from flwr.app import Context, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict as Stored
    from flwr.supercore.object_ref import load_app
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = (
        setup.run_id,
        setup.node_id,
        setup.run_id,
    )
    state = recorddict_from_proto(Stored.FromString(earlier)) if earlier else RecordDict()
    app = load_app(setup.client_app, ImportError, setup.app)
    if not isinstance(app, ClientApp):
        raise ImportError(f"{setup.client_app} is no ClientApp")
    return app, Context(
        run_id=setup.run_id,
        node_id=setup.node_id,
        node_config=setup.node_config,
        state=state,
        run_config=setup.run_config,
    )


def _answer(app: Any, context: Any, content: bytes) -> tuple[bytes, bytes]:
    """Call the app with one message: its reply, and the context's state after it."""
    from flwr.common.serde import message_from_proto, message_to_proto, recorddict_to_proto
    from flwr.proto.message_pb2 import Message as Sent

    reply = app(message_from_proto(Sent.FromString(content)), context)
    return (
        message_to_proto(reply).SerializeToString(),
        recorddict_to_proto(context.state).SerializeToString(deterministic=True),
    )


def _read(stream: BinaryIO, kind: int, *, last: bool = False) -> bytes:
    """The content of the next frame; empty at the end of the stream, where it may end."""
    header = stream.read(HEADER.size)
    if last and not header:
        return b""
    got, length = HEADER.unpack(header)
    content = stream.read(length)
    if got != kind or len(content) != length:
        raise EOFError("the node's pipe broke")
    return content


def _write(stream: BinaryIO, kind: int, content: bytes) -> None:
    stream.write(HEADER.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "rb") as _requests, os.fdopen(int(sys.argv[2]), "wb") as _replies:
        serve(_requests, _replies)
