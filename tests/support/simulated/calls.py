"""Calls in the place of gRPC's, and of nothing else: stubs, codec, gate, services and handlers are real.

Transport ─▶ Stub ─▶ Channel, Call ─▶ Network ─▶ Listener ─▶ Gate ─▶ Service ─▶ handler
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message

from kapok.errors import TimedOut, Unavailable
from kapok.identity.credentials import Credentials
from kapok.wire.address import Address
from kapok.wire.backoff import Backoff
from kapok.wire.channel import Connection
from kapok.wire.dialler import Dialler
from kapok.wire.limits import Limits
from kapok.wire.transport import Transport
from support.simulated.network import LOST, NOTICED_S, ORDER_S, Endpoint, Network

if TYPE_CHECKING:
    from support.simulated.listener import Listener


class SimulatedDialler(Dialler):
    """Reaches the listener over the network, for one endpoint."""

    def __init__(self, network: Network, endpoint: Endpoint) -> None:
        self._network, self._endpoint = network, endpoint

    async def connect(self, credentials: Credentials, address: str) -> Connection:
        """As `kapok.wire.channel.connect`."""
        network, name = self._network, self._endpoint.name
        await asyncio.sleep(network.delay())
        if name in network.cut:
            await asyncio.sleep(5)
            raise TimedOut(f"{address} does not answer", code="handshake_timed_out")
        if network.listener is None or not self._endpoint.alive:
            raise Unavailable(f"nobody answers at {address}", code="nobody_answers")
        return Connection(
            Transport(
                channel=Channel(network, self._endpoint, credentials.certificate_pem),  # type: ignore[arg-type]
                address=Address.parse(address),
                root_pem=credentials.root_pem,
                certificate_pem=credentials.certificate_pem,
                limits=Limits(),
            )
        )

    def backoff(self, first_s: float, most_s: float) -> Backoff:
        """As the real one, drawn from the seed."""
        return Backoff(first_s, most_s, self._network.source.uniform)


class Channel:
    """As `grpc.aio.Channel`, as far as `kapok.wire` uses it."""

    def __init__(self, network: Network, client: Endpoint, certificate_pem: bytes) -> None:
        self.network, self.client, self.certificate_pem = network, client, certificate_pem
        self.calls: dict[Call, None] = {}

    def _method(
        self,
        path: str,
        request_serializer: Callable[[Message], bytes],
        response_deserializer: Callable[[bytes], Message],
        **_registered: bool,
    ) -> Callable[..., Call]:
        def call(request: Message | None = None, *, timeout: float | None, metadata: Any) -> Call:
            made = Call(self, path, request_serializer, response_deserializer, metadata)
            made.begin(request, timeout)
            return made

        return call

    unary_unary = unary_stream = stream_unary = _method

    async def close(self, _grace: float | None = None) -> None:
        """End every call."""
        for call in tuple(self.calls):
            call.cancel()


class Call:
    """One call, seen from both sides."""

    def __init__(
        self,
        channel: Channel,
        path: str,
        write: Callable[[Message], bytes],
        read: Callable[[bytes], Message],
        metadata: Any,
    ) -> None:
        self.channel, self.network, self.client, self.path = channel, channel.network, channel.client, path
        self.metadata, self._write, self._read = metadata, write, read
        loop = self.network.loop
        self._begun: asyncio.Future[Any] = loop.create_future()
        self._ended: asyncio.Future[Message | None] = loop.create_future()
        self._items: asyncio.Queue[Message | None] = asyncio.Queue()
        self.heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.bodies: list[bytes] = []
        self._trailing: Any = ()
        self._last_up = self._last_down = 0.0
        self._doomed = False
        self._served: asyncio.Task[None] | None = None
        self._listener: Listener | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # --- the caller's side, as gRPC has it ---------------------------------------------------------------

    def begin(self, request: Message | None, timeout: float | None) -> None:
        """Send what there is to send at once."""
        self.channel.calls[self] = None
        self._ended.add_done_callback(lambda _: self._put_away())
        if timeout is not None:
            late = grpc.StatusCode.DEADLINE_EXCEEDED
            self._deadline = self.network.loop.call_later(timeout, self._fail, late, "late")
        self.up(self._arrive)
        if request is not None:
            self._send(request)
            self.up(lambda: self.heard.put_nowait(None))

    async def initial_metadata(self) -> Any:
        """What the service said before it answered."""
        return await asyncio.shield(self._begun)

    async def trailing_metadata(self) -> Any:
        """What the service said after it."""
        return self._trailing

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> Message:
        try:
            answer = await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            self.cancel()
            raise
        assert answer is not None
        return answer

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (item := await self._items.get()) is not None:
            yield item
        await asyncio.shield(self._ended)

    async def write(self, request: Message) -> None:
        """Send one of several requests."""
        if self._ended.done():
            raise asyncio.InvalidStateError
        self._send(request)
        await asyncio.sleep(0)

    async def done_writing(self) -> None:
        """There are no more."""
        self.up(lambda: self.heard.put_nowait(None))

    def done(self) -> bool:
        """Whether it has ended, for the caller."""
        return self._ended.done()

    def cancel(self) -> None:
        """The caller leaves."""
        if not self._ended.done():
            self._end(error=grpc.aio.AioRpcError(grpc.StatusCode.CANCELLED, (), ()))
            if self.client.alive:
                self.up(self._leave)
            else:
                self.network.loop.call_later(self.network.source.choice([0.1, NOTICED_S]), self._leave)

    # --- on the way --------------------------------------------------------------------------------------

    def _send(self, request: Message) -> None:
        if self.client.alive:
            self.network.sent(self.client.name, request)
        body = self._write(request)
        self.bodies.append(body)
        self.up(lambda: self.heard.put_nowait(body))

    def up(self, arrive: Callable[[], None]) -> None:
        """Carry something to the service."""
        self._last_up = self._carry(arrive, self._last_up)

    def down(self, arrive: Callable[[], None]) -> None:
        """Carry something to the caller."""
        self._last_down = self._carry(arrive, self._last_down)

    def pass_on(self, arrive: Callable[[], None]) -> None:
        """Carry what was held, in either direction."""
        self._last_down = self._last_up = self._carry(arrive, max(self._last_up, self._last_down))

    def _carry(self, arrive: Callable[[], None], last: float) -> float:
        network = self.network
        if self._doomed or not self.client.alive:
            return last
        if self.client.name in network.cut:
            network.hold(self, arrive)
            return last
        at = max(last + ORDER_S, network.loop.time() + network.delay())
        if network.source.random() < network.weather.lose:
            self._doomed = True
            network.loop.call_at(at + network.delay(), self.torn)
            if network.source.random() < 0.5:
                return last
        network.loop.call_at(at, arrive)
        return at

    def torn(self) -> None:
        """The connection under it is gone: both sides notice."""
        self._doomed = True
        self._fail(LOST, "torn")
        self._leave()

    # --- the caller's end --------------------------------------------------------------------------------

    def _fail(self, status: grpc.StatusCode, why: str) -> None:
        if not self._ended.done() and self.client.alive:
            self.network.trace.note(self.client.name, f"✗ {self.path.rsplit('/')[-1]}: {why}")
            self._end(error=grpc.aio.AioRpcError(status, (), ()))
            self.up(self._leave)

    def _end(self, answer: Message | None = None, error: BaseException | None = None) -> None:
        if self._ended.done():
            return
        if not self._begun.done():
            self._begun.set_result(())
        if error is None:
            self._ended.set_result(answer)
        else:
            self._ended.set_exception(error)
            self._ended.exception()  # it may be that nobody waits for it any more
        self._items.put_nowait(None)

    def _put_away(self) -> None:
        self.channel.calls.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()

    # --- the service's side ------------------------------------------------------------------------------

    def _arrive(self) -> None:
        listener = self._listener = self.network.listener
        if listener is None:
            self.down(lambda: self._fail(LOST, "nobody"))
            return
        self._served = listener.serve(self)

    def _leave(self) -> None:
        if self._served is not None and not self._served.done():
            self._served.cancel()

    def begun(self, metadata: Any) -> None:
        """The service has taken it."""
        if not self._begun.done():
            self._begun.set_result(metadata)

    def item(self, body: bytes) -> None:
        """One of several answers."""
        if not self._ended.done() and self.client.alive:
            message = self._read(body)
            told = self.network.trace.told(message)
            if told != "idle":
                self.network.trace.note(self.client.name, f"◀ {told}")
            self._items.put_nowait(message)

    def answered(self, body: bytes | None, trailing: Any) -> None:
        """The service has done."""
        self._trailing = trailing
        self._end(answer=None if body is None else self._read(body))

    def refused(self, code: grpc.StatusCode, details: str, trailing: Any) -> None:
        """The service has an error to tell."""
        self._end(error=grpc.aio.AioRpcError(code, (), grpc.aio.Metadata(*trailing), details))
