"""What a node counts: its decisions, seals and releases, pauses, and its line to the broker.

None of it depends on the data, as in all that leaves a node: what was suppressed is not here, nor how much
memory a table took. How long a seal took does follow a table's size; the broker sees as much from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kapok.daemon.metrics import DURATIONS_S, certificate_gauge
from kapok.nodes.runner.notes import Decision

__all__ = ["NodeMetrics"]

_MOST_CODES: Final = 64
_OTHER: Final = "other"


class NodeMetrics:
    """The registry of one node; an `Observer` of its runner.

    Attributes:
        registry: What is told.
    """

    def __init__(self, certificate_expires: Callable[[], float], clock: Callable[[], float]) -> None:
        self.registry = registry = CollectorRegistry()
        self._clock, self._codes = clock, {""}
        certificate_gauge(registry, certificate_expires)
        self._questions = Counter(
            "kapok_node_questions",
            "Questions that were decided since the start; one that is judged anew does not count again.",
            ["decision", "code"],
            registry=registry,
        )
        self._seals = Histogram(
            "kapok_node_seal_duration_seconds",
            "From a roster to the sealed contribution: reading the table, and sealing.",
            buckets=DURATIONS_S,
            registry=registry,
        )
        self._releases = Counter("kapok_node_releases", "What opens a sum, handed out.", registry=registry)
        self._pauses = Counter("kapok_node_pauses", "Times that the holder stopped it.", registry=registry)
        self._paused = Gauge("kapok_node_paused", "1 while the holder has stopped it.", registry=registry)
        self._connected = Gauge(
            "kapok_node_broker_connected", "1 while the broker's watch is open.", registry=registry
        )
        self._contact = Gauge(
            "kapok_node_broker_last_contact_timestamp_seconds",
            "When the broker was heard last, seconds since the epoch; 0 for never.",
            registry=registry,
        )

    def decided(self, decision: Decision, code: str = "") -> None:
        """Count a decision. Codes are words of Kapok's own; should there ever be many, the rest is one."""
        if code not in self._codes:
            if len(self._codes) >= _MOST_CODES:
                code = _OTHER
            self._codes.add(code)
        self._questions.labels(decision, code).inc()

    def sealed(self, took_s: float) -> None:
        """Count a seal."""
        self._seals.observe(took_s)

    def released(self) -> None:
        """Count a release."""
        self._releases.inc()

    def paused(self, paused: bool) -> None:
        """Count a pause, or note its end."""
        self._paused.set(paused)
        if paused:
            self._pauses.inc()

    def heard(self, connected: bool) -> None:
        """Note that the broker was heard, or that the line to it has ended."""
        self._connected.set(connected)
        if connected:
            self._contact.set(self._clock())
