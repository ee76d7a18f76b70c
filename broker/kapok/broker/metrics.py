"""What a broker counts: jobs, rounds, uploads, traffic, and who is connected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from kapok.broker.computation.context import Move
from kapok.broker.computation.states import ENDED, LIVE, JobState
from kapok.broker.presence import Presence
from kapok.broker.store import Store
from kapok.daemon.metrics import DURATIONS_S, certificate_gauge, or_nan
from kapok.wire.health import Health
from kapok.wire.traffic import Traffic

__all__ = ["BrokerMetrics"]


class BrokerMetrics:
    """The registry of one broker.

    Attributes:
        registry: What is told.
    """

    def __init__(self, store: Store, presence: Presence, certificate_expires: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        certificate_gauge(self.registry, certificate_expires)
        self._jobs = Counter(
            "kapok_broker_jobs",
            "Jobs that came to a state since the start; one whose attempt was voided gathers again.",
            ["state"],
            registry=self.registry,
        )
        self._rounds = Counter("kapok_broker_rounds", "Sums that were made.", registry=self.registry)
        self._job_s = Histogram(
            "kapok_broker_job_duration_seconds",
            "From a job's submission to its end.",
            ["state"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._state_s = Histogram(
            "kapok_broker_job_state_duration_seconds",
            "How long jobs were in a state that they have left.",
            ["state"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        for state in JobState:
            self._jobs.labels(state)
            (self._job_s if state in ENDED else self._state_s).labels(state)
        self._gauges(store, presence)
        self.registry.register(_Uploads(presence))

    def _gauges(self, store: Store, presence: Presence) -> None:
        nodes = Gauge("kapok_broker_connected_nodes", "Nodes with a watch open.", registry=self.registry)
        nodes.set_function(lambda: len(presence.here))
        uploads = Gauge("kapok_broker_open_uploads", "Vectors that are coming in.", registry=self.registry)
        uploads.set_function(lambda: presence.uploads)
        jobs = Gauge("kapok_broker_open_jobs", "Jobs that need their nodes.", registry=self.registry)
        jobs.set_function(or_nan(lambda: _open_jobs(store)))

    def moved(self, moves: Sequence[Move]) -> None:
        """Count what jobs did in one step that is on disk."""
        for move in moves:
            self._jobs.labels(move.to).inc()
            if move.left is not None:
                self._state_s.labels(move.left).observe(move.in_state_s)
            if move.left is JobState.RELEASING and move.to in (JobState.SUMMED, JobState.STEERING):
                self._rounds.inc()
            if move.to in ENDED:
                self._job_s.labels(move.to).observe(move.age_s)

    def tell_server(self, traffic: Traffic, health: Health) -> None:
        """Tell what goes through a server, too, and whether it can do its work."""
        self.registry.register(_Traffic(traffic))
        serving = Gauge(
            "kapok_broker_serving", "1 while it can do its work, as health says.", registry=self.registry
        )
        serving.set_function(lambda: health.serving)


class _Uploads(Collector):
    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    def collect(self) -> Iterator[CounterMetricFamily]:
        taken = self._presence
        yield CounterMetricFamily("kapok_broker_uploads", "Sealed vectors taken.", taken.uploads_taken)
        yield CounterMetricFamily("kapok_broker_upload_bytes", "Bytes of them.", taken.bytes_taken)


class _Traffic(Collector):
    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def collect(self) -> Iterator[CounterMetricFamily]:
        through = self._traffic
        yield CounterMetricFamily("kapok_broker_received_bytes", "Of messages.", through.bytes_received)
        yield CounterMetricFamily("kapok_broker_sent_bytes", "Of messages.", through.bytes_sent)
        yield CounterMetricFamily("kapok_broker_received_messages", "Messages.", through.messages_received)
        yield CounterMetricFamily("kapok_broker_sent_messages", "Messages.", through.messages_sent)


def _open_jobs(store: Store) -> int:
    with store.snapshot() as tx:
        return tx.jobs.count(LIVE)
