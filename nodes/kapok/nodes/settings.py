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
from kapok.errors import InvalidInput
from kapok.logs import LogLevel
from kapok.wire.address import Address

__all__ = [
    "CsvSource",
    "DatasetEntry",
    "EngineLimits",
    "NodeSettings",
    "ParquetSource",
    "load_settings",
    "template",
]

SETTINGS_FILE: Final = "node.toml"
POLICY_FILE: Final = "policy.toml"

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
# The engine would read these as a pattern that stands for several files.
_GLOB: Final = frozenset("*?[]{}")


class CsvSource(msgspec.Struct, tag_field="format", tag="csv", frozen=True, forbid_unknown_fields=True):
    """A table in a text file, one row a line; every cell is read as text and cast by the schema, strictly."""

    path: Path
    header: bool = True
    columns: tuple[str, ...] | None = None
    delimiter: str = ","
    null: str | tuple[str, ...] = ""

    @property
    def nulls(self) -> tuple[str, ...]:
        """The cells that mean unknown."""
        return (self.null,) if isinstance(self.null, str) else self.null


class ParquetSource(
    msgspec.Struct, tag_field="format", tag="parquet", frozen=True, forbid_unknown_fields=True
):
    """A table in one Parquet file."""

    path: Path


class DatasetEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset that the node joins: the document's hash, the table's own name, and where the table is."""

    hash: str
    source: CsvSource | ParquetSource
    asset: str = ""


class EngineLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one question may use of this machine."""

    threads: int = 2
    memory_mib: int = 512
    timeout_s: int = 300


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``node.toml`` as it is written. The paths' defaults are filled in by `load_settings`.

    Attributes:
        broker: ``host:port``.
        state: Folder of journal, keys and documents.
        instance: File that mirrors the journal's counter.
        accept_rollback: The number that an officer confirms after the journal was restored, or None.
        log_level: Least level that is logged.
        open_jobs_max: Most jobs open at a time.
        engine: What one question may use.
        datasets: What the node joins, by local name.
    """

    broker: str
    state: Path | None = None
    instance: Path | None = None
    accept_rollback: int | None = None
    log_level: LogLevel = "info"
    open_jobs_max: int = 256
    engine: EngineLimits = EngineLimits()
    datasets: dict[str, DatasetEntry] = {}

    @property
    def state_folder(self) -> Path:
        """The folder `state`; `load_settings` has made sure that it is known."""
        if self.state is None:
            raise AssertionError("settings were not loaded by load_settings")
        return self.state

    @property
    def instance_file(self) -> Path:
        """The file `instance`; `load_settings` has made sure that it is known."""
        if self.instance is None:
            raise AssertionError("settings were not loaded by load_settings")
        return self.instance


def load_settings(home: Path) -> NodeSettings:
    """Read and check ``<home>/node.toml``.

    Raises:
        NotFound: ``no_settings``.
        InvalidInput: ``bad_settings``, naming file, key and what is expected.
    """
    path = home / SETTINGS_FILE
    found = settings.load(path, NodeSettings)
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
        dialled = Address.parse(found.broker)
    except InvalidInput as error:
        raise _bad(path, "broker", f"is {found.broker!r}, not an address", error.remedy or "") from None
    if not dialled.port:
        raise _bad(path, "broker", "has the port 0", "write the port on which the broker listens")
    if not 1 <= found.open_jobs_max <= 100_000:
        raise _bad(path, "open_jobs_max", "is out of range", "write a number from 1 to 100000")
    limits = found.engine
    for key, value, least, most in (
        ("threads", limits.threads, 1, 256),
        ("memory_mib", limits.memory_mib, 64, 2**20),
        ("timeout_s", limits.timeout_s, 1, 86_400),
    ):
        if not least <= value <= most:
            raise _bad(path, f"engine.{key}", "is out of range", f"write a number from {least} to {most}")


def _check_entry(path: Path, name: str, entry: DatasetEntry) -> None:
    key = f"datasets.{name}"
    for what, text in (("datasets", name), (f"{key}.asset", entry.asset or name)):
        if not _NAME.match(text):
            raise _bad(path, what, f"has the name {text!r}", "use lower-case letters, digits, _ and -")
    if not _HASH.match(entry.hash):
        raise _bad(
            path,
            f"{key}.hash",
            "is not a dataset's hash",
            "copy the 64 hexadecimal digits that the analyst's `kapok dataset publish` printed, or that "
            "`kapok dataset show NAME` shows analysts: ask them for it",
        )
    source = entry.source
    if _GLOB & set(str(source.path)):
        raise _bad(path, f"{key}.source.path", "has one of * ? [ ] { } in it", "name exactly one file")
    if isinstance(source, CsvSource):
        _check_csv(path, f"{key}.source", source)


def _check_csv(path: Path, key: str, source: CsvSource) -> None:
    if not source.header and not source.columns:
        raise _bad(
            path, f"{key}.columns", "is missing", "without header, list the columns in the file's order"
        )
    names = [name.lower() for name in source.columns or ()]
    if len(set(names)) != len(names):
        raise _bad(path, f"{key}.columns", "names a column twice", "give each column a name of its own")
    if len(source.delimiter) != 1 or source.delimiter in '"\r\n':
        raise _bad(path, f"{key}.delimiter", "is not one character", 'write for example ","')
    if len(source.nulls) > 20:
        raise _bad(path, f"{key}.null", "lists too many texts", "list at most 20")


def _check_assets(path: Path, entries: dict[str, DatasetEntry]) -> None:
    """Two entries over one file under two assets would have two cohorts, and their sums subtract."""
    seen: dict[Path, tuple[str, str]] = {}
    for name, entry in entries.items():
        file = entry.source.path.resolve()
        earlier, asset = seen.setdefault(file, (name, entry.asset))
        if asset != entry.asset:
            raise _bad(
                path,
                f"datasets.{name}.asset",
                f"differs from that of datasets.{earlier}, which reads the same file",
                f'write asset = "{asset}" in both',
            )
