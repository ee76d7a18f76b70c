"""What a worker does (`process_pool`): `python -m kapok.protocols.arithmetic.worker_process DESCRIPTOR`.

It ends when the socket does, however its caller's process ended. It writes nothing and reads no file.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from kapok.protocols.arithmetic.digits import Digits
from kapok.protocols.arithmetic.powers import power
from kapok.protocols.arithmetic.process_pool import CHUNK, WORK, PowerWork, Work, receive, send, stay_alone
from kapok.protocols.arithmetic.ring import Ring
from kapok.protocols.arithmetic.tables import Comb, FixedBase

__all__ = ["serve"]

_Does = Callable[[list[npt.NDArray[np.uint8]]], Digits]


def serve(channel: socket.socket) -> None:
    """Do chunks until the other side is gone."""
    does: _Does | None = None
    try:
        while True:
            kind, *parts = receive(channel)
            if kind == CHUNK and does is not None:
                digits = does([np.frombuffer(part, dtype=np.uint8) for part in parts])
                send(channel, digits.tobytes())
            elif kind == WORK:
                does = _told(channel, msgspec.msgpack.decode(parts[0], type=Work))
            else:
                does = None
    except OSError:
        return


def _told(channel: socket.socket, work: Work) -> _Does:
    modulus = int.from_bytes(work.modulus, "little")
    if isinstance(work, PowerWork):
        ring, exponent = Ring(modulus, work.degree), int.from_bytes(work.exponent, "little")
        return lambda rows: power(ring, rows[0].reshape(-1, ring.parts, ring.width), exponent)
    public = Ring.of(modulus, work.degree)
    table = _table(channel, public, Comb(*work.comb))
    octets = -(-table.exponent_bits // 8)

    def powers(rows: list[npt.NDArray[np.uint8]]) -> Digits:
        factors = [factor.reshape(-1, public.parts, public.width) for factor in rows[1:]]
        return table.powers_times(rows[0].reshape(-1, octets), factors[0] if factors else None)

    return powers


def _table(channel: socket.socket, ring: Ring, comb: Comb) -> FixedBase:
    _, (descriptor,), _, _ = socket.recv_fds(channel, 1, 1)
    try:
        room = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    return FixedBase.of_table(ring, comb, np.frombuffer(room, dtype=np.float32))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stay_alone()
    serve(socket.socket(fileno=int(sys.argv[1])))
