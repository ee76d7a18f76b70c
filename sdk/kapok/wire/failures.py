"""How errors cross the wire: one table from classes to gRPC statuses, and the way back.

A service answers with the status of the table and, in trailing metadata ``kapok-error-bin``, the whole error
as an `ErrorDetail`: the caller raises the class that the service raised. A failure that carries no such
detail comes from the transport, or from something that is not Kapok; it is told in plain words, never with
gRPC's own text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from kapok.errors import (
    BudgetExhausted,
    CohortTooSmall,
    ConsentWithheld,
    IdentityInvalid,
    InternalError,
    InvalidInput,
    KapokError,
    LocalProtocolError,
    NotAuthorised,
    NotFound,
    PeerProtocolError,
    ProtocolError,
    Refused,
    SealBroken,
    TimedOut,
    Unavailable,
    VersionMismatch,
)
from kapok.wire import codec, version
from kapok.wire.v1 import errors_pb2

__all__ = ["KEY", "STATUS", "carried", "connection_lost", "status_line", "told", "trailing"]

KEY: Final = "kapok-error-bin"

STATUS: Final[dict[type[KapokError], grpc.StatusCode]] = {
    KapokError: grpc.StatusCode.INTERNAL,
    InternalError: grpc.StatusCode.INTERNAL,
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    Refused: grpc.StatusCode.FAILED_PRECONDITION,
    NotAuthorised: grpc.StatusCode.PERMISSION_DENIED,
    ConsentWithheld: grpc.StatusCode.FAILED_PRECONDITION,
    BudgetExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    CohortTooSmall: grpc.StatusCode.FAILED_PRECONDITION,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    TimedOut: grpc.StatusCode.DEADLINE_EXCEEDED,
    ProtocolError: grpc.StatusCode.ABORTED,
    LocalProtocolError: grpc.StatusCode.ABORTED,
    PeerProtocolError: grpc.StatusCode.ABORTED,
    SealBroken: grpc.StatusCode.DATA_LOSS,
    IdentityInvalid: grpc.StatusCode.UNAUTHENTICATED,
    VersionMismatch: grpc.StatusCode.UNIMPLEMENTED,
}

_LOST: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED})
# Codes under which gRPC's core reports a stream that was torn down together with its connection.
_PERHAPS_LOST: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
_BUSY_S: Final = 1.0
_TORN: Final = (
    "RST_STREAM",
    "Stream removed",
    "GOAWAY",
    "Socket closed",
    "Connection reset",
    "Internal error from Core",
)


def trailing(error: KapokError) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that carries the error."""
    return ((KEY, codec.write_error(error).SerializeToString()),)


def status_line(error: KapokError) -> tuple[grpc.StatusCode, str]:
    """The status of the error and a short text for clients that are not Kapok's."""
    kind = type(error)
    status = next(STATUS[known] for known in kind.__mro__ if known in STATUS)
    if isinstance(error, Unavailable) and error.retry_after_s is not None:
        status = grpc.StatusCode.RESOURCE_EXHAUSTED
    return status, f"{error.code}: see {KEY}"


def carried(metadata: Iterable[tuple[str, str | bytes]]) -> KapokError | None:
    """The error that trailing metadata carries, or None.

    Raises:
        PeerProtocolError: ``bad_answer`` when what it carries cannot be read.
    """
    for key, value in metadata:
        if key == KEY and isinstance(value, bytes):
            detail = errors_pb2.ErrorDetail()
            try:
                detail.ParseFromString(value)
            except DecodeError:
                raise PeerProtocolError("the answer carries an unreadable error", code="bad_answer") from None
            return codec.read_error(detail)
    return None


def connection_lost(address: str) -> Unavailable:
    """The error for a connection that was there and broke."""
    return Unavailable(
        f"the connection to {address} was lost",
        code="connection_lost",
        remedy="try again; if it stays so, look at the service's log",
    )


def told(status: grpc.StatusCode, text: str, address: str, timeout_s: float | None) -> KapokError:
    """A failure that carries no error of Kapok, in plain words.

    Args:
        status: What gRPC reported.
        text: gRPC's own details: read to tell cases apart, never shown.
        address: Whom the call was for.
        timeout_s: How long the call was allowed to take, in seconds.
    """
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        within = "in time" if timeout_s is None else f"within {timeout_s:g} s"
        return TimedOut(
            f"{address} did not answer {within}",
            code="call_timed_out",
            remedy="try again; if it stays so, look at the service's log",
        )
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if "larger than max" in text:
            return InvalidInput(
                f"a message to or from {address} is larger than the wire allows",
                code="message_too_large",
                remedy="ask fewer parties, or for less at once",
            )
        return Unavailable(
            f"{address} has too many calls at once",
            code="too_busy",
            remedy="try again later",
            retry_after_s=_BUSY_S,
        )
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return version.foreign_service(address)
    if status in _LOST or (status in _PERHAPS_LOST and any(sign in text for sign in _TORN)):
        return connection_lost(address)
    return PeerProtocolError(
        f"{address} answered with the status {status.name}, which Kapok does not send by itself",
        code="bad_answer",
        remedy="check the address, and that nothing in between rewrites answers",
    )
