"""What a daemon does in the background for as long as it lives: a defect does not end it in silence.

A task of which nobody takes the result dies without a word, and with it what it was for: certificates are not
renewed any more, nobody looks for a pause, a broker is taken for dead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["kept_going"]

_AGAIN_S: Final = 5.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def kept_going(
    what: str, work: Callable[[], Awaitable[None]], again_s: float = _AGAIN_S
) -> AsyncIterator[None]:
    """Do some work beside the block, until it is done or the block is left; begin again after a defect.

    Args:
        what: The work, as the log calls it.
        work: What is to be done; called anew after it has raised something.
        again_s: How long after, in seconds.
    """
    going = asyncio.create_task(_keep_going(what, work, again_s))
    try:
        yield
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)


async def _keep_going(what: str, work: Callable[[], Awaitable[None]], again_s: float) -> None:
    while True:
        try:
            await work()
            return
        except Exception:  # noqa: BLE001 - whatever it is, the daemon needs this work done
            _log.exception("%s ended by a defect, and begins again in %g s", what, again_s)
        await asyncio.sleep(again_s)
