"""Server reflection, for tools such as grpcurl: what `proto/` says, which is public, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection, reflection_pb2

from kapok.wire.services import Service

__all__ = ["reflection_service"]

_DESCRIPTOR = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]


def reflection_service(services: Iterable[str]) -> Service:
    """Names, methods and messages of these services, for every enrolled party."""
    answers: Any = reflection.aio.ReflectionServicer(  # type: ignore[attr-defined]  # its stubs do not know it
        (*services, _DESCRIPTOR.full_name)
    )

    def info(
        _caller: object, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest]
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        found: AsyncIterator[reflection_pb2.ServerReflectionResponse]
        found = answers.ServerReflectionInfo(requests, None)
        return found

    return Service(_DESCRIPTOR, None, {"ServerReflectionInfo": info}, standard=True)
