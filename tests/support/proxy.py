"""A TCP proxy on loopback that does what networks do: it stalls, throttles, cuts, half-closes, refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

Fault = Literal["stall", "throttle", "cut", "half-close", "refuse"]
_PIECE = 16 * 1024
_AT_ONCE = struct.pack("ii", 1, 0)
_TRICKLE_BYTES, _TRICKLE_S = 512, 0.02


class Proxy:
    """Hands bytes on, both ways, as long as nothing is wrong with it.

    Attributes:
        address: Where it listens.
        fault: What is wrong; None for nothing.
            ``stall``: nothing gets through, and nobody is told.
            ``throttle``: some 25 kB/s.
            ``cut``: connections are reset, once, and new ones too while it lasts.
            ``half-close``: what callers send ends, and what they get goes on.
            ``refuse``: new connections are reset, old ones live.
        lag_s: How long whatever is handed on takes, each way.
    """

    def __init__(self, target: str) -> None:
        self.lag_s = 0.0
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._fault: Fault | None = None
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.address = ""

    @property
    def fault(self) -> Fault | None:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault == "cut":
            for writer in self._open:
                _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault in ("cut", "refuse"):
            _reset(writer)
            return
        there_reader, there = await asyncio.open_connection(self._host, self._port)
        self._open |= {writer, there}
        pumps = {
            asyncio.create_task(self._pump(reader, there, upwards=True)),
            asyncio.create_task(self._pump(there_reader, writer, upwards=False)),
        }
        self._pumps |= pumps
        await asyncio.wait(pumps)
        self._pumps -= pumps
        self._open -= {writer, there}
        for one in (writer, there):
            one.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upwards: bool
    ) -> None:
        with contextlib.suppress(OSError):  # not connected any more is none of ConnectionError's
            while piece := await reader.read(_TRICKLE_BYTES if self._fault == "throttle" else _PIECE):
                if self._fault == "half-close" and upwards:
                    break
                while self._fault == "stall":
                    await self._changed.wait()
                if self.lag_s:
                    await asyncio.sleep(self.lag_s)
                if self._fault == "throttle":
                    await asyncio.sleep(_TRICKLE_S)
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    def close(self) -> None:
        """Let every connection go."""
        for pump in self._pumps:
            pump.cancel()
        for writer in self._open:
            writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, which the other side hears as an error, and not as an end."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Proxy]:
    """A proxy before a service; it is gone when the block is left."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
        while proxy._pumps:
            await asyncio.sleep(0)
