"""Running a daemon: logs to stderr, one line of JSON to stdout when it is ready, an end when it is told."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from kapok.cli.terminal import say

if TYPE_CHECKING:
    from kapok.logs import LogFormat

__all__ = ["Daemon", "serve"]


class Daemon(Protocol):
    """What runs until it is told to end, and says once where it can be reached."""

    def __call__(self, *, ready: Callable[[str], None]) -> Awaitable[None]:
        """Run; call `ready` with an address as soon as calls are answered."""
        ...


def serve(daemon: Daemon, log_level: str = "info", log_format: LogFormat = "json") -> None:
    """Run a daemon in the foreground until it ends.

    Args:
        daemon: What runs.
        log_level: Least level of what is logged on stderr, until its own settings say otherwise.
        log_format: How a line looks, until then.
    """
    from kapok.logs import configure

    configure(sys.stderr, log_level, log_format)

    async def run() -> None:
        await daemon(ready=lambda address: say(json.dumps({"ready": address})))

    asyncio.run(run())
