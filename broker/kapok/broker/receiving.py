"""Receiving what comes in chunks: a sealed vector, or a round's parameters. All of it counts, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from kapok.broker.worker import Worker
from kapok.errors import KapokError, TimedOut

__all__ = ["Incoming", "receive"]


class Incoming(Protocol):
    """Where chunks go."""

    def add(self, chunks: Sequence[bytes]) -> None:
        """Check and store the next chunks."""
        ...

    def finish(self, chunks: Sequence[bytes]) -> None:
        """Check and store the last chunks, if there are more, and count what has been stored."""
        ...

    def abandon(self, error: BaseException) -> None:
        """Forget what has been stored."""
        ...


async def receive(
    worker: Worker,
    incoming: Incoming,
    chunks: AsyncIterator[bytes],
    idle_s: float,
    batch: Callable[[], int],
) -> int:
    """Store chunks in batches until there are no more, and count them.

    Args:
        worker: The thread of the logic.
        incoming: Where they go.
        chunks: As they come.
        idle_s: How long none may come.
        batch: How many may be kept in memory just now.

    Returns:
        Their bytes.

    Raises:
        TimedOut: ``upload_stalled``.
        KapokError: what `incoming` raises; nothing is kept then.
    """
    try:
        return await _receive(worker, incoming, chunks, idle_s, batch)
    except BaseException as error:
        # The worker finishes this even if the call that it belonged to is gone. What it cannot delete
        # now goes at the next start.
        with suppress(KapokError):
            await asyncio.shield(worker.run(incoming.abandon, error))
        raise


async def _receive(
    worker: Worker,
    incoming: Incoming,
    chunks: AsyncIterator[bytes],
    idle_s: float,
    batch: Callable[[], int],
) -> int:
    kept: list[bytes] = []
    size, coming = 0, aiter(chunks)
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await anext(coming, None)
        except TimeoutError:
            raise TimedOut(
                f"no chunk came for {idle_s:g} s",
                code="upload_stalled",
                remedy="send it again",
            ) from None
        if chunk is None:
            break
        # Not before there is another: the last are written down with the end, in one step.
        if len(kept) >= batch():
            await worker.run(incoming.add, kept)
            kept = []
        kept.append(chunk)
        size += len(chunk)
    await worker.run(incoming.finish, kept)
    return size
