"""One open channel, and the three ways to use it: ask, read a stream, send a stream.

Whatever goes wrong on it leaves as a class of `kapok.errors`: the one that the service raised where it did,
the reason in plain words where the transport failed (`kapok.wire.failures`, `kapok.wire.diagnosis`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

import grpc
from google.protobuf.message import Message

from kapok.errors import KapokError, PeerProtocolError, Unavailable
from kapok.logs.traces import headers
from kapok.wire import failures, version
from kapok.wire.address import Address
from kapok.wire.diagnosis import why_unreachable
from kapok.wire.limits import Limits
from kapok.wire.traffic import Traffic

__all__ = ["Transport"]

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

_MARGIN_S: Final = 3.0
"""A caller waits this much longer than the service allows itself, so that the service's own words arrive."""


@dataclass(slots=True, kw_only=True)
class Transport:
    """A channel to one service.

    Attributes:
        address: Whom it leads to.
        root_pem: The root that the service's certificate must lead to.
        certificate_pem: This party's own; None in enrolment.
        limits: How long calls may take.
        traffic: What went over it.
    """

    channel: grpc.aio.Channel = field(repr=False)
    address: Address
    root_pem: bytes = field(repr=False)
    certificate_pem: bytes | None = field(repr=False)
    limits: Limits
    traffic: Traffic = field(default_factory=Traffic)

    async def ask(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A:
        """Send one request; return the answer."""
        answer, _ = await self.ask_about(method, request)
        return answer

    async def ask_about(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q
    ) -> tuple[A, version.About]:
        """Send one request; return the answer, and what the service says of itself."""
        limit_s = self.limits.unary_s + _MARGIN_S
        async with self._told(limit_s):
            call = method(request, timeout=limit_s, metadata=(*version.STAMP, *headers()))
            self.traffic.sent(request.ByteSize())
            answer = await call
            told = _pairs(await call.initial_metadata())
            version.check_answer(told, str(self.address))
            self.traffic.received(answer.ByteSize())
            return answer, version.read_about(told)

    async def read(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Q, A],
        request: Q,
        *,
        endless: bool = False,
        bounded: bool = True,
    ) -> AsyncGenerator[A, None]:
        """Send one request; yield the answers.

        Args:
            method: Of the stub.
            request: What is asked.
            endless: The stream may last for ever; only its beginning has a deadline.
            bounded: All answers together are no longer than a list may be; without, the caller counts.

        Raises:
            PeerProtocolError: ``answer_too_long``.
        """
        left = self.limits.list_bytes if bounded and not endless else math.inf
        limit_s = None if endless else self.limits.transfer_s + _MARGIN_S
        call: grpc.aio.UnaryStreamCall[Q, A] | None = None
        try:
            async with self._told(limit_s):
                call = method(request, timeout=limit_s, metadata=(*version.STAMP, *headers()))
                self.traffic.sent(request.ByteSize())
                await self._begun(call)
                async for answer in call:
                    version.check_answer(_pairs(await call.initial_metadata()), str(self.address))
                    size = answer.ByteSize()
                    self.traffic.received(size)
                    left -= size
                    if left < 0:
                        raise PeerProtocolError(
                            f"{self.address} answers with a list of more than {self.limits.list_bytes} bytes",
                            code="answer_too_long",
                            remedy="ask for less at once; or ask the service's people",
                        )
                    yield answer
                # Of a stream without answers gRPC sometimes tells the end alone: the version is there too.
                told = _pairs(await call.initial_metadata()) or _pairs(await call.trailing_metadata())
                version.check_answer(told, str(self.address))
        finally:
            if call is not None:
                call.cancel()

    async def send(self, method: grpc.aio.StreamUnaryMultiCallable[Q, A], requests: AsyncIterator[Q]) -> A:
        """Send requests; return the answer. What `requests` raises is raised, and ends the call."""
        limit_s = self.limits.transfer_s + _MARGIN_S
        call: grpc.aio.StreamUnaryCall[Q, A] | None = None
        try:
            async with self._told(limit_s):
                # Written to by hand, without an iterator: its errors are ours, not gRPC's to log.
                call = method(timeout=limit_s, metadata=(*version.STAMP, *headers()))  # type: ignore[call-arg]
                async for request in requests:
                    # The service may answer before it has read everything: an error, or it has it already.
                    if call.done():
                        break
                    with contextlib.suppress(asyncio.InvalidStateError):
                        await call.write(request)
                    self.traffic.sent(request.ByteSize())
                with contextlib.suppress(asyncio.InvalidStateError):
                    await call.done_writing()
                answer = await call
                version.check_answer(_pairs(await call.initial_metadata()), str(self.address))
                self.traffic.received(answer.ByteSize())
                return answer
        finally:
            if call is not None:
                call.cancel()

    async def _begun(self, call: grpc.aio.UnaryStreamCall[Q, A]) -> None:
        """Wait until the service has taken the call, so that a dead one is noticed."""
        limit_s = self.limits.unary_s + _MARGIN_S
        try:
            async with asyncio.timeout(limit_s):
                await call.initial_metadata()
        except TimeoutError:
            raise failures.told(grpc.StatusCode.DEADLINE_EXCEEDED, "", str(self.address), limit_s) from None

    @contextlib.asynccontextmanager
    async def _told(self, limit_s: float | None) -> AsyncIterator[None]:
        """Whatever gRPC raises inside becomes a class of `kapok.errors`."""
        try:
            yield
        except grpc.aio.AioRpcError as failed:
            raise await self._reason(failed, limit_s) from failed
        except grpc.aio.UsageError:
            raise self._closed() from None
        except asyncio.CancelledError:
            # gRPC raises this as well when the channel is closed under a call: nobody cancelled the task.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._closed() from None

    async def _reason(self, failed: grpc.aio.AioRpcError, limit_s: float | None) -> KapokError:
        try:
            carried = failures.carried(_pairs(failed.trailing_metadata()))
        except KapokError as unreadable:
            return unreadable
        if carried is not None:
            return carried
        if failed.code() is grpc.StatusCode.UNAVAILABLE:
            found = await why_unreachable(self.address, self.root_pem, self.certificate_pem)
            if found is not None:
                return found
        return failures.told(failed.code(), failed.details() or "", str(self.address), limit_s)

    def _closed(self) -> Unavailable:
        return Unavailable(
            f"the connection to {self.address} has been closed on this side",
            code="connection_closed",
            remedy="connect again",
        )


def _pairs(metadata: object) -> tuple[tuple[str, str | bytes], ...]:
    """GRPC's metadata as pairs; its own types say less than they hold."""
    return tuple(cast("grpc.aio.Metadata", metadata)) if metadata else ()
