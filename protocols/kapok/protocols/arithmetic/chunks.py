"""Batches in blocks, with BLAS at one thread, and with other processes' help where that pays.

Who works takes a chunk of a few blocks, reads its digits, works through the blocks, writes the digits, and
takes the next: memory is a few chunks for each core, whatever the length of the batch. Powers, which are
nearly all of the work, can be shared with processes on other cores (`process_pool`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, Final

import numpy as np
import threadpoolctl

from kapok.protocols.arithmetic.bases import Floats
from kapok.protocols.arithmetic.digits import Digits, LimbReader, LimbWriter
from kapok.protocols.arithmetic.kernel import Kernel, Ready, Residues
from kapok.protocols.arithmetic.process_pool import Help, SharedWork, available_cores
from kapok.protocols.arithmetic.ring import Ring

__all__ = ["Lane", "run"]

_BLOCKS: Final = (8, 4, 2, 1)
"""Blocks of a chunk: the carries of written digits run limb by limb, over all its columns at once."""

_FEWEST_TO_SHARE: Final = 64
"""Up to so many elements are nobody else's."""

_CHUNKS_EACH: Final = 8
"""Chunks for each core that shares work, so that none waits long for the last."""

_MOST_WIDTHS: Final = 4
"""Widths of blocks for which a ring keeps lanes; those that were not used for longest go."""


class Lane:
    """What one worker needs for chunks of `blocks` blocks: a kernel, conversions, and room for numbers.

    Attributes:
        columns: Of a block.
        blocks: Of a chunk; `run` sets it anew.
        kernel: The products.
        x: Numbers, one block.
        y: Ready operands, one block.
        rows: The same as rows of a table, float32 of shape (columns, ready_rows).
    """

    def __init__(self, ring: Ring, columns: int, blocks: int) -> None:
        self.ring = ring
        self.columns = columns
        self.blocks = blocks
        self.kernel = Kernel(ring, columns)
        self.x: Residues = self.kernel.residues()
        self.y: Ready = self.kernel.ready()
        self.rows = np.zeros((columns, ring.ready_rows), dtype=np.float32)
        self._readers: dict[int, LimbReader] = {}
        self._writers: dict[int, LimbWriter] = {}
        self._room: list[Residues] = []
        self._constants: dict[int, tuple[Floats, Ready]] = {}

    def read(self, digits: Digits) -> Floats:
        """The limbs of a block's digits, (parts, 8·groups+1, columns); or of a whole chunk.

        They are good until the next call.
        """
        columns = self.columns if len(digits) <= self.columns else self.blocks * self.columns
        if columns not in self._readers:
            self._readers[columns] = LimbReader(self.ring, columns)
        return self._readers[columns].read(digits)

    def room(self, count: int) -> list[Residues]:
        """Room for so many more blocks of numbers."""
        while len(self._room) < count:
            self._room.append(self.kernel.residues())
        return self._room[:count]

    def constant(self, prepared: Floats) -> Ready:
        """A prepared number in every column; the last few are kept."""
        kept = self._constants.get(id(prepared))
        if kept is None:
            if len(self._constants) >= 2:
                del self._constants[next(iter(self._constants))]
            kept = self._constants[id(prepared)] = (prepared, self.kernel.expand(prepared))
        return kept[1]

    def spans(self, count: int) -> list[slice]:
        """The blocks of a chunk of `count` columns, as columns of its limbs."""
        return [slice(start, start + self.columns) for start in range(0, count, self.columns)]

    def write(self, x: Residues, span: slice) -> None:
        """Put a block's numbers where `flush` takes them from."""
        writer = self._writers.get(self.blocks)
        if writer is None:
            writer = self._writers[self.blocks] = LimbWriter(self.ring, self.blocks * self.columns)
        self.kernel.write(x, writer.limbs[..., span], writer.quotients[..., span])

    def flush(self, digits: Digits) -> None:
        """The digits of a chunk that was written."""
        self._writers[self.blocks].write(digits)


def run(
    ring: Ring, count: int, work: Callable[[Lane, slice], None], shared: SharedWork | None = None
) -> None:
    """Call `work` for chunks that make up `count` elements; workers take part where they can and it pays."""
    if not count:
        return
    sharing = available_cores() if shared is not None and count > _FEWEST_TO_SHARE else 1
    columns = ring.block_columns(-(-count // sharing))
    share = -(-count // (columns if sharing == 1 else _CHUNKS_EACH * sharing * columns))
    blocks = next((blocks for blocks in _BLOCKS if blocks <= share), 1)
    supply = _Supply(slice(start, start + blocks * columns) for start in range(0, count, blocks * columns))
    help = Help(shared, count, supply) if shared is not None and sharing > 1 else None  # noqa: A001
    with _one_blas_thread, _lane(ring, columns, blocks) as lane:
        try:
            for done, chunk in enumerate(supply, start=1):
                work(lane, chunk)
                if help is not None:
                    help.consider(min(count, done * blocks * columns))
        finally:
            supply.end()
            if help is not None:
                help.end()
        for chunk in help.missed if help is not None else ():
            work(lane, chunk)


class _Supply:
    """Chunks, each of which is handed out once, whoever asks."""

    def __init__(self, chunks: Iterator[slice]) -> None:
        self._chunks = chunks
        self._lock = Lock()

    def __iter__(self) -> Iterator[slice]:
        return self

    def __next__(self) -> slice:
        with self._lock:
            return next(self._chunks)

    def end(self) -> None:
        """Hand out no more."""
        with self._lock:
            self._chunks = iter(())


@contextmanager
def _lane(ring: Ring, columns: int, blocks: int) -> Iterator[Lane]:
    """A lane that no other thread uses, kept with its ring for the next work."""
    idle = _idle_lanes(ring, columns)
    try:
        lane = idle.pop()
    except IndexError:
        lane = Lane(ring, columns, blocks)
    lane.blocks = blocks
    try:
        yield lane
    finally:
        if len(idle) < available_cores():
            idle.append(lane)


def _idle_lanes(ring: Ring, columns: int) -> list[Lane]:
    """The lanes of this width that no thread uses."""
    with _lanes_lock:
        idle = ring.idle_lanes.pop(columns, [])
        ring.idle_lanes[columns] = idle
        while len(ring.idle_lanes) > _MOST_WIDTHS:
            del ring.idle_lanes[next(iter(ring.idle_lanes))]
    return idle


_lanes_lock: Final = Lock()


class _OneBlasThread:
    """BLAS at one thread, in the whole process, from the first who enters until the last has left."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limit.restore_original_limits()


_one_blas_thread: Final = _OneBlasThread()


@cache
def _controller() -> Any:
    return threadpoolctl.ThreadpoolController()
