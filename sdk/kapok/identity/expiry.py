"""A certificate that ends is said in time: afterwards its party is nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from kapok.daemon.chores import kept_going
from kapok.errors import counted
from kapok.identity.credentials import CERTIFICATE_FILE, IDENTITY_FOLDER, Credentials
from kapok.identity.names import Role

__all__ = ["ASKING_NOTICE_S", "DAEMON_NOTICE_S", "ends_soon", "expires", "warned_daily"]

_DAY_S: Final = 86_400
DAEMON_NOTICE_S: Final = 30 * _DAY_S
"""From when on daemons warn."""
ASKING_NOTICE_S: Final = 14 * _DAY_S
"""From when on an analyst who asks is told: who sees it each time need not be told so early."""

Warning_ = Callable[[float], tuple[str, str] | None]

_REMEDY: Final = (
    f"get a new token for the same name, move {IDENTITY_FOLDER}/{CERTIFICATE_FILE} away, and "
    "`kapok enroll TOKEN` for the same folder; "
    "the key stays, and a daemon takes it over by itself"
)
_RESTART: Final = "start the authority again: it renews its own then"
_log = logging.getLogger(__name__)


def expires(credentials: Credentials) -> float:
    """When they stop being good, seconds since the epoch: at the end of the certificate, or of its root."""
    ends = (one.not_valid_after_utc for one in (credentials.certificate, credentials.root.certificate))
    return min(ends).timestamp()


def ends_soon(
    credentials: Credentials, now: float, notice_s: float = DAEMON_NOTICE_S
) -> tuple[str, str] | None:
    """That a certificate ends within `notice_s` seconds, and what to do; None while it is good for longer."""
    ends = expires(credentials)
    if ends - now > notice_s:
        return None
    days = max(0, int((ends - now) // _DAY_S))
    when = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC"
    remedy = _RESTART if credentials.name.role is Role.AUTHORITY else _REMEDY
    return f"the certificate of {credentials.name} ends in {counted(days, 'day')}, at {when}", remedy


def warned_daily(
    credentials: Callable[[], Credentials], clock: Callable[[], float], *also: Warning_
) -> AbstractAsyncContextManager[None]:
    """Say it in the log, at once and once a day, for as long as the block lasts.

    Args:
        credentials: The daemon's, as they are then.
        clock: Seconds since the epoch.
        also: What else may have to be said: by the time, a warning with its remedy, or None.
    """
    return kept_going("the daily look at dates", partial(_warn_daily, credentials, clock, also))


async def _warn_daily(
    credentials: Callable[[], Credentials], clock: Callable[[], float], also: tuple[Warning_, ...]
) -> None:
    while True:
        now = clock()
        for found in (ends_soon(credentials(), now), *(one(now) for one in also)):
            if found is not None:
                _log.warning("%s", found[0], extra={"remedy": found[1]})
        await asyncio.sleep(_DAY_S)
