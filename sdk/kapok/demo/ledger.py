"""What each process of the demonstration held and saw, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from kapok.demo.processes import Daemon

__all__ = ["Entry", "entry_of", "of_analyst"]

HOLDS: Final = {
    "authority": "the root key; no data, no questions",
    "broker": "certificates, signed statements, sealed vectors in flight",
    "hospital": "its patients' file, its policy, its identity key",
    "analyst": "its result key, one receiver key per job, the answers",
}
_COUNTS: Final = ("messages_sent", "messages_received", "bytes_sent", "bytes_received")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One process's numbers; None where it did not tell.

    Attributes:
        name: Of the process.
        holds: What it holds, in words.
        bytes_sent: Encoded messages that it sent, without the framing of gRPC and TLS.
        bytes_received: Those that it received.
        messages_sent: How many.
        messages_received: How many.
        peak_memory: Largest resident memory, bytes.
    """

    name: str
    holds: str
    bytes_sent: int | None = None
    bytes_received: int | None = None
    messages_sent: int | None = None
    messages_received: int | None = None
    peak_memory: int | None = None


def entry_of(daemon: Daemon, holds: str) -> Entry:
    """Read a stopped daemon's log: when a connection ends it tells what went over it."""
    lines = [line for line in daemon.log_entries() if all(isinstance(line.get(one), int) for one in _COUNTS)]
    told = {count: sum(line[count] for line in lines) if lines else None for count in _COUNTS}
    return Entry(name=daemon.name, holds=holds, peak_memory=daemon.peak_memory, **told)


def of_analyst(answers: Iterable[dict[str, Any]], peaks: Iterable[int | None]) -> Entry:
    """The analyst's numbers: each of its questions was a process of its own."""
    documents = list(answers)
    return Entry(
        name="analyst",
        holds=HOLDS["analyst"],
        bytes_sent=sum(one["bytes_sent"] for one in documents),
        bytes_received=sum(one["bytes_received"] for one in documents),
        peak_memory=max((peak for peak in peaks if peak), default=None),
    )
