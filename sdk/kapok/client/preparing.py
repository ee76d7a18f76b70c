"""From a request to a job's record on disk: whoever is interrupted meanwhile has asked nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from kapok.errors import KapokError

if TYPE_CHECKING:
    from kapok.client.catalogue import VerifiedDataset
    from kapok.client.jobs import JobRecord
    from kapok.client.progress import Listener
    from kapok.client.session import AsyncSession
    from kapok.client.submission import Request

__all__ = ["prepared"]


async def prepared(
    session: AsyncSession,
    request: Request,
    dataset: VerifiedDataset,
    progress: Listener,
    begin: Callable[[JobRecord], JobRecord] = lambda record: record,
) -> JobRecord:
    """Prepare a job in a thread, and keep its record. Whoever is interrupted meanwhile keeps nothing.

    Args:
        session: Whose job it is.
        request: What is wanted.
        dataset: What it is about.
        progress: Told how it goes on.
        begin: Adds to the record before it is kept.

    Raises:
        KapokError: the question cannot be asked.
    """
    work = asyncio.ensure_future(asyncio.to_thread(_prepare, session, request, dataset, progress, begin))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        with contextlib.suppress(KapokError):
            session.folder.forget((await work).job_id)
        raise


def _prepare(
    session: AsyncSession,
    request: Request,
    dataset: VerifiedDataset,
    progress: Listener,
    begin: Callable[[JobRecord], JobRecord],
) -> JobRecord:
    record = begin(session.specify(request, dataset, progress))
    session.folder.save(record)
    session.known.remember(dataset)
    return record
