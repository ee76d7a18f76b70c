"""Wake-ups between the broker processes on one PostgreSQL: what one has changed, the others look at.

A transaction tells the keys that it concerns by NOTIFY: they go out when it is on disk, and not at all if it
is rolled back. Each process has one connection that LISTENs and asks for what has come several times a
second, for the driver cannot wait for it. Nothing is decided by a wake-up: who is woken reads the store.

Source: PostgreSQL manual, NOTIFY.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.engine import Engine

from kapok.broker.store.rows import Rows
from kapok.logs.lasting import Lasting
from kapok.persistence import Prepared

__all__ = ["Heard", "heard_from", "tell"]

Heard = Callable[[Collection[str] | None], None]
"""Told the keys that somebody else's transaction concerned; None: some may have been missed, look at all."""

_CHANNEL: Final = "kapok_broker"
_MOST_BYTES: Final = 7_900  # of a payload, by PostgreSQL's limit of 8,000
_POLL_S: Final = 0.05
_AGAIN_S: Final = 1.0
_LEFT_S: Final = 2.0
_TELL: Final = Prepared(select(func.pg_notify(_CHANNEL, bindparam("payload"))))
_log = logging.getLogger(__name__)


def tell(rows: Rows, keys: Collection[str]) -> None:
    """Let the other processes know, once this transaction is on disk, that it concerned these keys."""
    for payload in _payloads(keys):
        rows.value(_TELL, {"payload": payload})


@contextlib.contextmanager
def heard_from(engine: Engine, heard: Heard) -> Iterator[None]:
    """Call `heard`, from a thread of its own, for as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=_listen, args=(engine, heard, stop), name="wake-ups", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # Where the server is silent it ends by itself, by the driver's limit: that is not waited for.
        thread.join(_LEFT_S)


def _payloads(keys: Collection[str]) -> Iterator[str]:
    """The keys in lines, so many in each payload as it holds."""
    lines: list[str] = []
    size = 0
    for key in sorted(keys):
        size += len(key.encode()) + 1
        if lines and size > _MOST_BYTES:
            yield "\n".join(lines)
            lines, size = [], len(key.encode()) + 1
        lines.append(key)
    if lines:
        yield "\n".join(lines)


def _listen(engine: Engine, heard: Heard, stop: threading.Event) -> None:
    deaf = Lasting(_log)
    while not stop.is_set():
        try:
            _hear(engine, heard, stop, partial(deaf.over, "wake-ups of other brokers are heard again"))
        except Exception as error:  # noqa: BLE001 - whatever ends the connection, another one is tried
            deaf.tell(type(error), "wake-ups of other brokers are not heard just now", error=error)
            stop.wait(_AGAIN_S)


def _hear(engine: Engine, heard: Heard, stop: threading.Event, well: Callable[[], None]) -> None:
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        if driver is None:
            raise AssertionError("a connection of the pool has a driver")
        connection.rollback()  # the pool's own question has begun a transaction
        driver.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"LISTEN {_CHANNEL}")
        heard(None)
        well()
        while not stop.wait(_POLL_S):
            cursor.execute("SELECT 1")
            came = list(driver.notifications)
            if not came:
                continue
            driver.notifications.clear()
            # The driver keeps the newest so many: as many as that may have pushed others out.
            missed = len(came) == driver.notifications.maxlen
            heard(None if missed else {key for _, _, payload in came for key in payload.split("\n")})
    finally:
        connection.invalidate()
