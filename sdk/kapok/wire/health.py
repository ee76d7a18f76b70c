"""Health as probes and load balancers ask for it: ``grpc.health.v1``, for a server and each of its services.

A probe needs no wire version of Kapok's, but everything else that a call needs: TLS 1.3 and, at a broker, the
certificate of an enrolled party, of whatever role. Whoever asks a broker is told its release and its time as
well, in the answer's metadata, for `kapok doctor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from grpc_health.v1 import health_pb2

from kapok.errors import NotFound
from kapok.wire.services import Service

__all__ = ["OVERALL", "Health", "health_service"]

OVERALL: Final = ""
"""The server as a whole, where a service is named."""

_Answer = health_pb2.HealthCheckResponse


class Health:
    """Whether a server can do its work. All its services rest on one store: they are well or unwell together.

    Args:
        services: Full names of what the server offers.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._known = frozenset({OVERALL, *services})
        self._serving, self._draining = True, False
        self._changed = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Whether the server can do its work."""
        return self._serving

    def report(self, *, serving: bool) -> None:
        """Say from now on that the server can do its work, or cannot; while it drains it stays at that."""
        if serving != self._serving and not self._draining:
            self._serving = serving
            self._ring()

    def drain(self) -> None:
        """Say that the server stops. Watches are told, and end."""
        self._serving, self._draining = False, True
        self._ring()

    def answer(self, service: str) -> health_pb2.HealthCheckResponse:
        """The status of `service` just now; ``SERVICE_UNKNOWN`` where it is not offered here."""
        if service not in self._known:
            return _Answer(status=_Answer.SERVICE_UNKNOWN)
        return _Answer(status=_Answer.SERVING if self._serving else _Answer.NOT_SERVING)

    async def watch(self, service: str) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the status now and after each change, until the server drains."""
        last: health_pb2.HealthCheckResponse | None = None
        while True:
            changed, answer = self._changed, self.answer(service)
            if answer != last:
                last = answer
                yield answer
            elif self._draining:
                return
            else:
                await changed.wait()

    def _ring(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def health_service(health: Health, *, endless: bool) -> Service:
    """Health, for everyone whom the server lets call.

    Args:
        health: What is told.
        endless: Whether a watch may last as long as the server, or ends at the limit of other streams.
    """

    async def check(
        _caller: object, request: health_pb2.HealthCheckRequest
    ) -> health_pb2.HealthCheckResponse:
        answer = health.answer(request.service)
        if answer.status == _Answer.SERVICE_UNKNOWN:
            raise NotFound(
                "there is no service of that name here",
                code="unknown_service",
                remedy="ask for a service that this server offers, or for none: that is the server itself",
            )
        return answer

    def watch(
        _caller: object, request: health_pb2.HealthCheckRequest
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        return health.watch(request.service)

    methods: dict[str, Callable[..., Any]] = {"Check": check, "Watch": watch}
    watches = frozenset({"Watch"}) if endless else frozenset()
    descriptor = health_pb2.DESCRIPTOR.services_by_name["Health"]
    return Service(descriptor, None, methods, watches, standard=True)
