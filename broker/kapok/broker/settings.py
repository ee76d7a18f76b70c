"""The broker's settings, ``<home>/broker.toml``: explained one by one in the template beside this file."""

from __future__ import annotations

from typing import Final

import msgspec

from kapok.documents.statements import MOST_DEADLINE_S
from kapok.errors import InvalidInput
from kapok.logs import LogFormat, LogLevel
from kapok.wire.address import Address
from kapok.wire.limits import Limits as WireLimits

__all__ = ["BrokerSettings", "Limits"]

_DAY_S: Final = 86_400
_MIB: Final = 2**20


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds on what the broker takes on, and how long it waits and keeps things.

    Attributes:
        question_bytes_max: Longest question, as UTF-8.
        vector_mib_max: Largest sealed vector of one node, in mebibytes.
        deadline_s_max: Longest time that a job may ask for; nodes take none above `MOST_DEADLINE_S`.
        open_jobs_max: Most jobs of one organisation that have not ended.
        analyst_jobs_max: Most jobs of one analyst that have not ended.
        jobs_at_work_max: Most of those that nodes are asked for at a time; the others wait for their turn.
        calls_per_s: Calls that one party may make each second for long.
        calls_burst: Calls that one that has made few may make at once.
        calls_of_one: Calls of one party that may be under way, watches included.
        calls_of_organisation: Calls of all parties of one organisation that may be under way.
        rounds_max: Most rounds that a job may ask for.
        attempts_max: Most attempts of one round, hence most times that a node may come with new keys.
        datasets_max: Most datasets that one party may publish.
        consent_grace_s: How long a job that does not need everyone waits for consents.
        seal_grace_s: How long such a job waits for a sealed vector before it goes on without that node.
        upload_idle_s: How long an upload may stand still.
        sum_retention_s: How long a sum waits for its analyst.
        job_retention_s: How long an ended job stays on record.
        kept_jobs_max: Most jobs of one organisation on record; beyond that the oldest that have ended go
            before their time, those first of which nothing was released.
        closed_notice_s: How long a node that comes back is told that a job has ended.

    Raises:
        InvalidInput: ``bad_settings`` when a value is not positive, or `deadline_s_max` above 30 days.
    """

    question_bytes_max: int = 65_536
    vector_mib_max: int = 128
    deadline_s_max: int = MOST_DEADLINE_S
    open_jobs_max: int = 64
    analyst_jobs_max: int = 32
    jobs_at_work_max: int = 8
    calls_per_s: float = 60.0
    calls_burst: int = 240
    calls_of_one: int = 128
    calls_of_organisation: int = 512
    rounds_max: int = 1000
    attempts_max: int = 32
    datasets_max: int = 256
    consent_grace_s: float = 30.0
    seal_grace_s: float = 60.0
    upload_idle_s: float = 60.0
    sum_retention_s: float = 7.0 * _DAY_S
    job_retention_s: float = 90.0 * _DAY_S
    kept_jobs_max: int = 10_000
    closed_notice_s: float = 1.0 * _DAY_S

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) > 0:  # no number is neither
                raise InvalidInput(
                    f"{name} must be larger than 0",
                    code="bad_settings",
                    remedy="leave it out for the value that it has by itself",
                )
        if self.deadline_s_max > MOST_DEADLINE_S:
            raise InvalidInput(
                "deadline_s_max is longer than any node takes on a job",
                code="bad_settings",
                remedy=f"set 1 to {MOST_DEADLINE_S} seconds (30 days)",
            )

    @property
    def wire(self) -> WireLimits:
        """What the server bears."""
        return WireLimits(
            calls_per_s=self.calls_per_s,
            calls_burst=self.calls_burst,
            calls_of_one=self.calls_of_one,
            calls_of_organisation=self.calls_of_organisation,
        )

    @property
    def vector_bytes_max(self) -> int:
        """Largest sealed vector of one node, in bytes."""
        return self.vector_mib_max * _MIB


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``broker.toml`` holds.

    Attributes:
        listen: ``host:port``; port 0 lets the system pick one.
        store: Path of the SQLite file, relative to the home folder, or a URL of PostgreSQL's without
            password.
        store_password_file: File, relative to the home folder, that holds the password of the URL's user.
        log_level: Least level that is logged.
        log_format: One JSON object for each line, or text.
        metrics: ``host:port`` where metrics are told over HTTP; empty for nowhere.
        traces: Collector of spans, ``http://host:port`` of OTLP over gRPC; empty for none.
        drain_s: How long calls in flight may go on after SIGTERM.
        limits: See `Limits`.

    Raises:
        InvalidInput: ``bad_settings`` when `drain_s` is negative or no number, ``bad_address``.
    """

    listen: str = "127.0.0.1:7443"
    store: str = "broker.db"
    store_password_file: str = ""
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"
    metrics: str = ""
    traces: str = ""
    drain_s: float = 5.0
    limits: Limits = msgspec.field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.metrics:
            Address.parse(self.metrics)
        if not 0 <= self.drain_s <= _DAY_S:
            raise InvalidInput(
                "drain_s is out of range", code="bad_settings", remedy=f"set 0 to {_DAY_S} seconds"
            )

    @property
    def metrics_address(self) -> Address | None:
        """Where metrics are told; None for nowhere."""
        return Address.parse(self.metrics) if self.metrics else None
