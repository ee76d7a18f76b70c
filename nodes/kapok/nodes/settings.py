"""The node's settings, ``<home>/node.toml``, and where its files lie.

Policy is a file of its own (`kapok.nodes.policy`): settings say what there is, policy says who may ask.
"""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path
from typing import Final

import msgspec

from kapok import settings
from kapok.documents.envelope import is_digest
from kapok.errors import InvalidInput
from kapok.logs import LogFormat, LogLevel
from kapok.nodes.source_settings import (
    ArrowSource,
    CsvSource,
    ParquetSource,
    PostgresSource,
    QuerySource,
    SourceSettings,
    check_source,
    places,
)
from kapok.wire.address import Address, Addresses, addresses

__all__ = [
    "AppSettings",
    "ArrowSource",
    "CsvSource",
    "DatasetEntry",
    "EngineLimits",
    "NodeSettings",
    "ParquetSource",
    "PostgresSource",
    "QuerySource",
    "SourceSettings",
    "load_settings",
    "template",
]

SETTINGS_FILE: Final = "node.toml"
POLICY_FILE: Final = "policy.toml"
TAG_KEY_FILE: Final = "tag.key"
VERSION_KEY_FILE: Final = "version.key"

_LEAST_HISTORY_DAYS: Final = 60
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")


class DatasetEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset that the node joins: the document's hash, the table's own name, and where the table is."""

    hash: str
    source: SourceSettings
    asset: str = ""


class EngineLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one question may use of this machine.

    Attributes:
        threads: Threads of the engine that reads files.
        memory_mib: Most memory of that engine.
        timeout_s: A question that takes longer is stopped, at a server too.
        spill: Folder to which that engine may write what does not fit in memory; None: never to a disk.
        spill_mib: Most that it may write there for one question.
    """

    threads: int = 2
    memory_mib: int = 512
    timeout_s: int = 300
    spill: Path | None = None
    spill_mib: int = 10_240


class AppSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where apps run.

    Attributes:
        python: The interpreter of their environment; None for the node's own.
    """

    python: Path | None = None


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``node.toml`` as it is written. The paths' defaults are filled in by `load_settings`.

    Attributes:
        broker: ``host:port``, or several: of brokers on one store, of which one is dialled.
        state: Folder of journal, keys and documents.
        instance: File that mirrors the journal's counter.
        accept_rollback: The number that an officer confirms after the journal was restored, or None.
        log_level: Least level that is logged.
        log_format: One JSON object for each line, or text.
        metrics: ``host:port`` where metrics are told over HTTP; empty for nowhere.
        traces: Collector of spans, ``http://host:port`` of OTLP over gRPC; empty for none.
        open_jobs_max: Most jobs open at a time.
        history_days: Days after which the journal forgets the text of questions that nothing was released
            for; 0 for never.
        engine: What one question may use.
        apps: Where apps run.
        datasets: What the node joins, by local name.
    """

    broker: Addresses
    state: Path | None = None
    instance: Path | None = None
    accept_rollback: int | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"
    metrics: str = ""
    traces: str = ""
    open_jobs_max: int = 256
    history_days: int = 0
    engine: EngineLimits = EngineLimits()
    apps: AppSettings = AppSettings()
    datasets: dict[str, DatasetEntry] = {}

    @property
    def state_folder(self) -> Path:
        """The folder `state`; `load_settings` has made sure that it is known."""
        if self.state is None:
            raise AssertionError("settings were not loaded by load_settings")
        return self.state

    @property
    def brokers(self) -> tuple[str, ...]:
        """The addresses of `broker`."""
        return addresses(self.broker)

    @property
    def apps_folder(self) -> Path:
        """Where bundles lie, apps run, and what they print is kept."""
        return self.state_folder / "apps"

    @property
    def metrics_address(self) -> Address | None:
        """Where metrics are told; None for nowhere."""
        return Address.parse(self.metrics) if self.metrics else None

    @property
    def instance_file(self) -> Path:
        """The file `instance`; `load_settings` has made sure that it is known."""
        if self.instance is None:
            raise AssertionError("settings were not loaded by load_settings")
        return self.instance


def load_settings(home: Path, text: str | None = None) -> NodeSettings:
    """Read and check ``<home>/node.toml``.

    Args:
        home: The node's folder.
        text: What the file says, where it was read before.

    Raises:
        NotFound: ``no_settings``.
        InvalidInput: ``bad_settings``, naming file, key and what is expected.
    """
    path = home / SETTINGS_FILE
    found = settings.load(path, NodeSettings, text=text)
    _check_daemon(path, found)
    for name, entry in found.datasets.items():
        _check_entry(path, name, entry)
    named = {name: _named(name, entry) for name, entry in found.datasets.items()}
    _check_assets(path, named)
    return msgspec.structs.replace(
        found,
        state=found.state or home / "state",
        instance=found.instance or home / "instance",
        datasets=named,
    )


def template(name: str) -> str:
    """The text of a documented settings file: ``node.toml`` or ``policy.toml``."""
    return importlib.resources.files("kapok.nodes").joinpath(name).read_text(encoding="utf-8")


def _named(name: str, entry: DatasetEntry) -> DatasetEntry:
    return entry if entry.asset else msgspec.structs.replace(entry, asset=name)


def _bad(path: Path, key: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{path}: key {key!r} {what}", code="bad_settings", remedy=remedy)


def _check_daemon(path: Path, found: NodeSettings) -> None:
    try:
        addresses(found.broker)
    except InvalidInput as error:
        raise _bad(path, "broker", f"cannot be used: {error.message}", error.remedy or "") from None
    if found.metrics:
        try:
            Address.parse(found.metrics)
        except InvalidInput as error:
            raise _bad(path, "metrics", f"is {found.metrics!r}, not an address", error.remedy or "") from None
    if not 1 <= found.open_jobs_max <= 100_000:
        raise _bad(path, "open_jobs_max", "is out of range", "write a number from 1 to 100000")
    if found.history_days and not _LEAST_HISTORY_DAYS <= found.history_days <= 36_500:
        raise _bad(
            path,
            "history_days",
            "is out of range",
            f"write 0 for ever, or a number from {_LEAST_HISTORY_DAYS}: a job may be open for 30 days",
        )
    limits = found.engine
    for key, value, least, most in (
        ("threads", limits.threads, 1, 256),
        ("memory_mib", limits.memory_mib, 64, 2**20),
        ("timeout_s", limits.timeout_s, 1, 86_400),
        ("spill_mib", limits.spill_mib, 1, 2**30),
    ):
        if not least <= value <= most:
            raise _bad(path, f"engine.{key}", "is out of range", f"write a number from {least} to {most}")


def _check_entry(path: Path, name: str, entry: DatasetEntry) -> None:
    key = f"datasets.{name}"
    for what, text in (("datasets", name), (f"{key}.asset", entry.asset or name)):
        if not _NAME.match(text):
            raise _bad(path, what, f"has the name {text!r}", "use lower-case letters, digits, _ and -")
    if not is_digest(entry.hash):
        raise _bad(
            path,
            f"{key}.hash",
            "is not a dataset's hash",
            "copy the 64 hexadecimal digits that the analyst's `kapok dataset publish` printed, or that "
            "`kapok dataset show NAME` shows analysts: ask them for it",
        )
    for wrong, what, remedy in check_source(entry.source):
        raise _bad(path, f"{key}.source.{wrong}", what, remedy)


def _check_assets(path: Path, entries: dict[str, DatasetEntry]) -> None:
    """Two entries over the same data under two assets would have two cohorts, and their sums subtract."""
    seen: dict[str, tuple[str, str]] = {}
    for name, entry in entries.items():
        for place in sorted(places(entry.source)):
            earlier, asset = seen.setdefault(place, (name, entry.asset))
            if asset != entry.asset:
                raise _bad(
                    path,
                    f"datasets.{name}.asset",
                    f"differs from that of datasets.{earlier}, which reads the same {_kind(place)}",
                    f'write asset = "{asset}" in both',
                )


def _kind(place: str) -> str:
    return "relation" if place.startswith("postgresql ") else "file"
