"""Metrics of a daemon, told over HTTP in Prometheus' text format to whoever may reach the address.

Nothing that is counted may depend on anybody's data: who looks at a dashboard was not given an answer.
No label holds another party's text, and the values of each are few.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from kapok.errors import InvalidInput

__all__ = ["DURATIONS_S", "certificate_gauge", "metrics_served", "or_nan"]

DURATIONS_S: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)
"""Buckets of durations, in seconds: coarse, for a fine one tells how large a table is."""

_log = logging.getLogger(__name__)


class Endpoint(Protocol):
    """An address to listen on: a `kapok.wire.address.Address`, of a room that daemons' own do not know."""

    @property
    def host(self) -> str:
        """Name or address."""
        ...

    @property
    def port(self) -> int:
        """0 for any free one."""
        ...


def certificate_gauge(registry: CollectorRegistry, expires: Callable[[], float]) -> None:
    """Tell when the daemon's certificate ends, as every daemon does.

    Args:
        registry: Of the daemon.
        expires: Gives seconds since the epoch.
    """
    Gauge(
        "kapok_certificate_expiry_timestamp_seconds",
        "When this party's certificate ends, seconds since the epoch.",
        registry=registry,
    ).set_function(expires)


@contextmanager
def metrics_served(registry: CollectorRegistry, endpoint: Endpoint | None) -> Iterator[None]:
    """Answer ``GET /metrics`` for as long as the block lasts; the log says where.

    Args:
        registry: What is told.
        endpoint: Where; None for nowhere. There is no TLS: whoever reaches it reads it.

    Raises:
        InvalidInput: ``port_in_use``, or ``bad_address`` when it cannot be opened for another reason.
    """
    if endpoint is None:
        yield
        return
    try:
        server, thread = start_http_server(endpoint.port, endpoint.host, registry)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise InvalidInput(
            f"metrics cannot be told at {endpoint}: {error.strerror}",
            code="port_in_use" if taken else "bad_address",
            remedy="set another address for `metrics`, or leave it out",
        ) from None
    _log.info("metrics", extra={"host": endpoint.host, "port": server.server_port})
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def or_nan(value: Callable[[], float]) -> Callable[[], float]:
    """The value, or not a number where it cannot be known just now: one must not hide all others."""

    def known() -> float:
        try:
            return value()
        except Exception:  # noqa: BLE001 - whatever keeps it from being known is told where it belongs
            return math.nan

    return known
