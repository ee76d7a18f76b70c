"""Bounds of one side of the wire; over a bound is a clear error, never a wait or a crash."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server bears, or one connection.

    Attributes:
        message_bytes: Largest message, either way.
        list_bytes: Longest list that is read from a service: it does not decide how much its caller keeps.
            Without meaning for a server.
        calls_per_s: How many calls one party may make each second for long; see `kapok.wire.shares`. Without
            meaning for a connection, as the next three.
        calls_burst: How many more it may make at once when it has made few.
        calls_of_one: How many calls of one party may be under way, streams included.
        calls_of_organisation: How many of all parties of one organisation.
        concurrent_calls: Most calls at once, streams included; one more is told that the server is
            too busy. Without meaning for a connection.
        unary_s: Longest time for a call with one request and one answer, in seconds.
        transfer_s: Longest time for a stream that has an end: a sealed vector, a sum, a list, in seconds.
    """

    message_bytes: int = 4 * 1024 * 1024
    list_bytes: int = 64 * 1024 * 1024
    calls_per_s: float = 60.0
    calls_burst: int = 240
    calls_of_one: int = 128
    calls_of_organisation: int = 512
    concurrent_calls: int = 2048
    unary_s: float = 30.0
    transfer_s: float = 600.0
