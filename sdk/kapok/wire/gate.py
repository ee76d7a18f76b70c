"""What every call passes before a service sees it, and how its end is told.

    answer with our version ─▶ TLS 1.3 ─▶ caller's name ─▶ place ─▶ caller's version ─▶ role ─▶ token
    ─▶ request ─▶ method ─▶ answer | error

To gRPC every request is a stream, also one of a single message: so the gate comes before the message, and
whoever begins a call and does not go on has a place and a deadline as everybody. Services of gRPC's own
(health, reflection) pass it too, but for the caller's version.

An error of `kapok.errors` travels whole. Anything else is a defect: the log of this side gets the traceback
under an incident number, the caller gets the number alone, for a traceback would tell it what it may not
know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar, cast

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from kapok.errors import InternalError, InvalidInput, KapokError, TimedOut, Unavailable
from kapok.identity.names import PartyName
from kapok.identity.revocation import Revocations, revoked_error
from kapok.logs import about, told
from kapok.logs.lasting import Lasting
from kapok.logs.traces import continued
from kapok.wire import failures, peers, version
from kapok.wire.limits import Limits
from kapok.wire.services import Service
from kapok.wire.shares import Shares, calling, network_of
from kapok.wire.traffic import Traffic

__all__ = ["Gate"]

_log = logging.getLogger(__name__)

_DRAIN_S: Final = 30.0
_PUT_AWAY_S: Final = 10.0
_BUSY_AGAIN_S: Final = 60.0

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Awaitable[Any]]


@dataclass(slots=True, kw_only=True)
class Gate:
    """Stands before every method of a server.

    Attributes:
        trust_domain: The server's own; None where callers have no certificate yet (enrolment).
        limits: See there.
        traffic: What went through.
        clock: Seconds since the epoch.
        revocations: Whose certificates are good no longer: their calls are refused, and those under way
            ended.
        stopping: Set when the server stops: watches end.
        calls: The tasks of the calls that have not come to their end on this side, with their callers, once
            known.
        cut_off: Those of them whose caller was revoked meanwhile, with its name.
        shares: What each caller takes.
        busy: Tells who was sent away to come again later: who does so at once fills no disk here.
    """

    trust_domain: str | None
    limits: Limits
    traffic: Traffic = field(default_factory=Traffic)
    clock: Callable[[], float] = time.time
    revocations: Revocations | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    calls: dict[asyncio.Task[Any], peers.Caller | None] = field(default_factory=dict)
    cut_off: set[asyncio.Task[Any]] = field(default_factory=set)
    shares: Shares = field(init=False)
    busy: Lasting = field(default_factory=lambda: Lasting(_log, _BUSY_AGAIN_S))

    def __post_init__(self) -> None:
        self.shares = Shares(self.limits, now=lambda: asyncio.get_running_loop().time())
        if self.revocations is not None:
            self.revocations.tell(self._cut_off_revoked)

    def handlers(self, service: Service) -> grpc.GenericRpcHandler[Any, Any]:
        """What gRPC calls for each method of the service."""
        methods = {
            name: self._handler(service, method)
            for name, method in service.descriptor.methods_by_name.items()
        }
        return grpc.method_handlers_generic_handler(service.descriptor.full_name, methods)

    async def put_away(self) -> None:
        """Wait until every call has come to its end on this side too, but not for ever.

        gRPC says that it has stopped when the callers know. A call whose own end is still under way would be
        cut off with the event loop, and gRPC prints a traceback then.
        """
        if self.calls:
            await asyncio.wait(self.calls, timeout=_PUT_AWAY_S)

    def _handler(self, service: Service, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        streams = bool(method.client_streaming or method.server_streaming)
        limit_s: float | None = self.limits.transfer_s if streams else self.limits.unary_s
        if method.name in service.watches:
            limit_s = None
        make: Callable[..., grpc.RpcMethodHandler[Any, Any]] = grpc.stream_unary_rpc_method_handler
        answer = self._single
        if method.server_streaming:
            make, answer = grpc.stream_stream_rpc_method_handler, self._stream
        return make(
            _logged(answer(service, method, limit_s)),
            request_deserializer=self._reader(method),
            response_serializer=self._write,
        )

    def _reader(self, method: MethodDescriptor) -> Callable[[bytes], Message]:
        parse = message_factory.GetMessageClass(method.input_type).FromString

        def read(raw: bytes) -> Message:
            self.traffic.received(len(raw))
            try:
                return parse(raw)
            except DecodeError:
                raise InvalidInput(
                    f"the request of {method.full_name} cannot be read",
                    code="bad_message",
                    remedy="see that both sides are of releases that speak the same version of the wire",
                ) from None

        return read

    def _write(self, message: Message) -> bytes:
        raw = message.SerializeToString()
        self.traffic.sent(len(raw))
        return raw

    def _single(self, service: Service, method: MethodDescriptor, limit_s: float | None) -> Handler:
        """Answers with one message."""
        work = service.methods[method.name]

        async def answer(requests: AsyncIterator[Message], context: Context) -> Any:
            caller: peers.Caller | None = None
            try:
                caller = await self._admit(service, context)
                with self._place(caller, context):
                    async with _drained(method, requests):
                        self._check(service, caller, context)
                        async with _deadline(limit_s, method.full_name):
                            request = await self._asked(method, requests)
                            with continued(method.name, _metadata(context)):
                                return await work(_name(caller), request)
            except asyncio.CancelledError:
                await self._refuse_revoked(context, method.full_name)
                raise
            except Exception as error:  # noqa: BLE001 - a defect is logged under its incident, never shown
                await self._refuse(context, error, method.full_name, _name(caller))

        return answer

    def _stream(self, service: Service, method: MethodDescriptor, limit_s: float | None) -> Handler:
        """Answers with a stream, written message by message: its end is reached however the call ends."""
        work = service.methods[method.name]

        async def answer(requests: AsyncIterator[Message], context: Context) -> None:
            caller: peers.Caller | None = None
            try:
                caller = await self._admit(service, context)
                with self._place(caller, context):
                    self._check(service, caller, context)
                    request = await self._asked(method, requests)
                    limit = (
                        self._while_valid(caller) if limit_s is None else _deadline(limit_s, method.full_name)
                    )
                    async with limit, contextlib.aclosing(work(_name(caller), request)) as items:
                        cut_off = limit_s is None and not service.standard
                        async for item in self._until_stopping(items) if cut_off else items:
                            await context.write(item)
            except asyncio.CancelledError:
                await self._refuse_revoked(context, method.full_name)
                raise
            except Exception as error:  # noqa: BLE001 - as above
                await self._refuse(context, error, method.full_name, _name(caller))

        return answer

    async def _asked(self, method: MethodDescriptor, requests: AsyncIterator[Message]) -> Any:
        """What a method is given: the one request, or the stream of them."""
        if method.client_streaming:
            return requests
        async with _deadline(self.limits.unary_s, method.full_name):
            request: Any = await anext(aiter(requests), None)
        if request is None:
            raise InvalidInput(
                f"{method.full_name} was called without a request",
                code="bad_stream",
                remedy="send one message with each call",
            )
        if "job_id" in method.input_type.fields_by_name:
            told(job=request.job_id)
        return request

    async def _admit(self, service: Service, context: Context) -> peers.Caller | None:
        """Note the call; check TLS and name, in this order; return the caller."""
        call = asyncio.current_task()
        if call is not None:
            self.calls[call] = None
            call.add_done_callback(self._ended)
        await context.send_initial_metadata(self._stamp(service))
        context.set_trailing_metadata(version.STAMP)
        auth = cast("peers.AuthContext", context.auth_context())
        peers.require_tls13(auth)
        if self.trust_domain is None:
            return None
        revoked = self.revocations.revokes if self.revocations else _nobody
        caller = peers.identify(auth, self.trust_domain, self.clock(), revoked)
        if call is not None:
            self.calls[call] = caller
        told(party=str(caller.name))
        calling.set(caller.name.organisation_id)
        return caller

    def _place(
        self, caller: peers.Caller | None, context: Context
    ) -> contextlib.AbstractContextManager[None]:
        """Room for the call among those of the caller, or of the network that a stranger calls from."""
        if caller is None:
            network = network_of(context.peer())
            return self.shares.place(network, network)
        return self.shares.place(str(caller.name), caller.name.organisation_id)

    def _check(self, service: Service, caller: peers.Caller | None, context: Context) -> None:
        """Check version and role, and count the call; strangers' are not: each costs its token or nothing."""
        if not service.standard:
            version.check_caller(_metadata(context))
        if caller is not None:
            peers.require_role(caller.name, service.role, service.descriptor.name)
            self.shares.take(str(caller.name))

    @contextlib.asynccontextmanager
    async def _while_valid(self, caller: peers.Caller | None) -> AsyncIterator[None]:
        """No longer than the caller's certificate: a watch that was begun with it would outlive it."""
        limit_s = None if caller is None else caller.expires - self.clock()
        try:
            async with asyncio.timeout(limit_s) as limit:
                yield
        except TimeoutError:
            if caller is None or not limit.expired():
                raise
            raise peers.expired_error(caller.name) from None

    def _ended(self, call: asyncio.Task[Any]) -> None:
        self.calls.pop(call, None)
        self.cut_off.discard(call)

    def _cut_off_revoked(self) -> None:
        """End the calls of those whose certificate has come on the list: the line itself carries no other."""
        revokes = self.revocations.revokes if self.revocations else _nobody
        for call, caller in tuple(self.calls.items()):
            if caller is not None and revokes(caller.serial):
                self.cut_off.add(call)
                call.cancel()

    async def _refuse_revoked(self, context: Context, method: str) -> None:
        """End a call that was cut off with the reason; do nothing if it was cancelled otherwise."""
        call = asyncio.current_task()
        caller = self.calls.get(call) if call in self.cut_off and call is not None else None
        if call is not None and caller is not None:
            call.uncancel()
            await self._refuse(context, revoked_error(str(caller.name)), method, caller.name)

    async def _refuse(
        self, context: Context, error: Exception, method: str, caller: PartyName | None
    ) -> NoReturn:
        """End the call with an error."""
        whose = f"{method} for {caller or context.peer()}"
        if not isinstance(error, KapokError):
            incident = secrets.token_hex(4)
            _log.error("%s failed, incident %s", whose, incident, exc_info=error)
            shown: KapokError = InternalError(
                f"the service failed inside: incident {incident}",
                remedy=f"tell whoever runs the service: its log has the details under incident {incident}",
            )
        else:
            shown, told_too = error, {"code": error.code, "what": error.message}
            if isinstance(error, InternalError):
                _log.error("%s: %s", whose, error.code, exc_info=error)
            elif isinstance(error, Unavailable):
                key = method, caller or context.peer().rpartition(":")[0], error.code
                self.busy.tell(key, f"{whose}: {error.code}", told_too, level=logging.INFO)
            else:
                _log.info("%s: %s", whose, error.code, extra=told_too)
        status, text = failures.status_line(shown)
        await context.abort(status, text, failures.trailing(shown))

    def _stamp(self, service: Service) -> tuple[tuple[str, str], ...]:
        """What every answer carries; with those of health also release and time, but not for strangers."""
        if service.standard and self.trust_domain is not None:
            return *version.STAMP, *version.about(self.clock())
        return version.STAMP

    async def _until_stopping(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items, until the server stops: then the caller is told so at once, and comes back later."""
        stop = asyncio.ensure_future(self.stopping.wait())
        coming: asyncio.Future[T] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(anext(items))
                await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    raise Unavailable(
                        "the service is shutting down", code="shutting_down", remedy="try again later"
                    )
                try:
                    yield coming.result()
                except StopAsyncIteration:
                    return
        finally:
            pending = [task for task in (stop, coming) if task is not None]
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


def _logged(answer: Handler) -> Handler:
    """The same; every line that is logged meanwhile is about the caller and the job, once they are known."""

    async def within(requests: Any, context: Context) -> Any:
        with about():
            return await answer(requests, context)

    return within


def _name(caller: peers.Caller | None) -> PartyName | None:
    return caller.name if caller is not None else None


def _metadata(context: Context) -> tuple[tuple[str, str | bytes], ...]:
    return cast("Any", context.invocation_metadata()) or ()


def _nobody(_serial: int) -> bool:
    return False


@contextlib.asynccontextmanager
async def _deadline(limit_s: float | None, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limit_s) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOut(
            f"{what} took longer than {limit_s:g} s and was given up",
            code="call_timed_out",
            remedy="try again; if it stays so, look at the service's log",
        ) from None


@contextlib.asynccontextmanager
async def _drained(method: MethodDescriptor, requests: AsyncIterator[Message]) -> AsyncIterator[None]:
    """Read a caller's stream to its end before it is answered, but not for ever.

    An asynchronous client of gRPC that is still writing when the answer comes loses the answer, whatever it
    says, and sees INTERNAL (grpc/grpc#36066). Who has no place is answered at once nevertheless.
    """
    try:
        yield
    except Exception:
        await _drain(method, requests)
        raise
    await _drain(method, requests)


async def _drain(method: MethodDescriptor, requests: AsyncIterator[Message]) -> None:
    if not method.client_streaming:
        return
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in requests:
                pass
