"""A broker's process as its callers reach it: the real gate before the real services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf.message import Message

from kapok.identity.credentials import Credentials
from kapok.wire import version
from kapok.wire.gate import Gate
from kapok.wire.handlers import BrokerHandlers
from kapok.wire.health import Health
from kapok.wire.limits import Limits
from kapok.wire.services import broker_services
from support.simulated.calls import Call
from support.simulated.network import ADDRESS, Endpoint, Network


class _Aborted(Exception):
    """What `context.abort` raises."""


class _Context:
    """As `grpc.aio.ServicerContext`, as far as `kapok.wire.gate` uses it."""

    def __init__(self, call: Call, listener: Listener) -> None:
        self._call, self._listener = call, listener
        self._trailing: Any = ()

    async def send_initial_metadata(self, metadata: Any) -> None:
        self._listener.tell(self._call, lambda: self._call.begun(metadata))

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._trailing = metadata

    def invocation_metadata(self) -> Any:
        return self._call.metadata

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"ssl_tls_version": [b"TLSv1.3"], "x509_pem_cert": [self._call.channel.certificate_pem]}

    def peer(self) -> str:
        return self._call.client.name

    async def write(self, message: Message) -> None:
        body = message.SerializeToString()
        self._listener.tell(self._call, lambda: self._call.item(body))
        await asyncio.sleep(0)

    async def abort(self, code: grpc.StatusCode, details: str, trailing: Any) -> None:
        self._listener.tell(self._call, lambda: self._call.refused(code, details, trailing))
        raise _Aborted(details)


class _Requests:
    """What a caller sends, message by message.

    Attributes:
        first: The first that was read; None before.
    """

    def __init__(self, call: Call, handler: Any) -> None:
        self._call, self._handler = call, handler
        self.first: Any = None
        self._ended = False

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> Message:
        if self._ended:
            raise StopAsyncIteration  # as gRPC says it again and again to who goes on reading
        body = await self._call.heard.get()
        if body is None:
            self._ended = True
            raise StopAsyncIteration
        message: Message = self._handler.request_deserializer(body)
        self.first = self.first or message
        return message


@dataclass
class Listener:
    """A broker's process as callers reach it: the real gate before the real services."""

    network: Network
    endpoint: Endpoint
    gate: Gate
    health: Health
    handlers: dict[str, Any]
    address: str = ADDRESS
    tasks: dict[asyncio.Task[None], Call] = field(default_factory=dict)

    @property
    def traffic(self) -> Any:
        """Messages and bytes so far."""
        return self.gate.traffic

    def tell(self, call: Call, arrive: Callable[[], None]) -> None:
        """Carry something to a caller, while this process lives."""
        if self.endpoint.alive:
            call.down(arrive)

    def serve(self, call: Call) -> asyncio.Task[None]:
        """Answer a call; perhaps a second time later, as a network may repeat what it was given."""
        network, weather = self.network, self.network.weather
        if "Watch" not in call.path and network.source.random() < weather.double:
            network.loop.call_later(network.source.uniform(0.01, 20.0), self._again, call)
        return self._task(call, self._answer(call, _Context(call, self)))

    def _again(self, call: Call) -> None:
        """The same bytes once more; whom they were for does not hear of it."""
        listener = self.network.listener
        if listener is None:
            return
        echo = Call(call.channel, call.path, call._write, call._read, call.metadata)
        echo.client = Endpoint(call.client.name)
        for body in (*call.bodies, None):
            echo.heard.put_nowait(body)
        self.network.trace.note(call.client.name, f"↻ {call.path.rsplit('/')[-1]}")
        listener._task(echo, listener._answer(echo, _Context(echo, listener)))

    def _task(self, call: Call, work: Any) -> asyncio.Task[None]:
        task = self.network.loop.create_task(work)
        self.tasks[task] = call
        task.add_done_callback(lambda _: self.tasks.pop(task, None))
        return task

    async def _answer(self, call: Call, context: _Context) -> None:
        handler, streams = self.handlers[call.path]
        requests, network, outcome = _Requests(call, handler), self.network, "left"
        try:
            if handler.response_streaming:
                await handler.stream_stream(requests, context)
                self.tell(call, lambda: call.answered(None, version.STAMP))
            else:
                body = handler.response_serializer(await handler.stream_unary(requests, context))
                if self.endpoint.alive and not streams:
                    network.taken(requests.first)
                self.tell(call, lambda: call.answered(body, version.STAMP))
            outcome = "ok"
        except _Aborted as aborted:
            outcome = str(aborted).partition(":")[0]
        finally:
            if self.endpoint.alive:
                named = streams or requests.first is None
                told = call.path.rsplit("/")[-1] if named else network.trace.told(requests.first)
                self.network.trace.note("broker", f"{call.client.name}: {told} → {outcome}")

    def hang_up(self) -> None:
        """The process is dead: its callers notice, each in its time."""
        for call in self.tasks.values():
            self.network.loop.call_later(self.network.delay(), call.torn)

    async def stop(self, grace_s: float = 5.0) -> None:
        """As `RunningServer.stop`."""
        self.health.drain()
        self.gate.stopping.set()
        if self.network.listener is self:
            self.network.listener = None
        if self.tasks:
            await asyncio.wait(tuple(self.tasks), timeout=grace_s)
        for task, call in tuple(self.tasks.items()):
            task.cancel()
            call.torn()
        await self.gate.put_away()


def serving(network: Network, endpoint: Endpoint, clock: Callable[[], float]) -> Callable[..., Any]:
    """What a broker is given to serve with, in the place of `kapok.wire.server.serve`."""

    async def serve(
        credentials: Credentials,
        _address: str,
        behind: BrokerHandlers,
        *,
        limits: Limits,
        current: Any,
        revocations: Any,
    ) -> Listener:
        domain = credentials.name.trust_domain
        gate = Gate(trust_domain=domain, limits=limits, clock=clock, revocations=revocations)
        services = broker_services(behind)
        handlers: dict[str, Any] = {}
        for service in services:
            generic = gate.handlers(service)
            for name, method in service.descriptor.methods_by_name.items():
                path = f"/{service.descriptor.full_name}/{name}"
                handlers[path] = (generic.service(SimpleNamespace(method=path)), method.client_streaming)
        health = Health([service.descriptor.full_name for service in services])
        network.listener = Listener(network, endpoint, gate, health, handlers)
        return network.listener

    return serve
