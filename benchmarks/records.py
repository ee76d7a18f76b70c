"""What a run leaves behind, as it is written to JSON.

`Report` is the document. It is read back strictly (unknown fields, wrong types and other versions are
refused), so that results that are kept can be shown again, and `schema` describes it for other programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from benchmarks.errors import BadArgument
from benchmarks.spread import Spread

__all__ = ["FORMAT", "Aim", "Entry", "Fact", "Figure", "Profile", "Quoted", "Report", "Role", "Run", "Share"]

FORMAT: Final = "kapok-benchmark-1"
Role = Literal["kapok", "peer", "reference"]
Parameters = dict[str, str | int | float]


class _Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Fields by name only, none unknown."""


class Run(_Record):
    """One timed run. CPU time is of the whole process, all its threads."""

    wall_s: float
    cpu_s: float


class Aim(_Record):
    """What a figure of Kapok should reach: a least or largest ratio to the baseline, or rate, or value."""

    of: Literal["ratio", "rate", "value"]
    least: float | None = None
    most: float | None = None

    def reached(self, value: float) -> bool:
        """Whether a value is within the aim."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


class Entry(_Record):
    """One contender's part of a figure. Rates are units per second; ratios are to the figure's baseline."""

    name: str
    role: Role
    units_per_run: float
    rate_wall: Spread
    rate_cpu: Spread
    ratio_wall: Spread | None
    ratio_cpu: Spread | None
    runs: list[Run]
    aim: Aim | None = None
    note: str = ""


class Figure(_Record):
    """Contenders measured in turn. `absent` says of those that could not take part, why."""

    key: str
    title: str
    unit: str
    threads: int
    parameters: Parameters
    baseline: str | None
    entries: list[Entry]
    absent: dict[str, str]

    def entry(self, name: str) -> Entry | None:
        """The entry of that name."""
        return next((entry for entry in self.entries if entry.name == name), None)


class Fact(_Record):
    """A number that is counted or measured once or a few times: sizes, memory, key generation, stages."""

    key: str
    title: str
    unit: str
    threads: int
    parameters: Parameters
    value: Spread
    aim: Aim | None = None
    note: str = ""


class Share(_Record):
    """One line of a profile."""

    name: str
    seconds: float
    share: float
    calls: int


class Profile(_Record):
    """Where the time of one operation goes: first by kind of work, then by function."""

    key: str
    title: str
    parameters: Parameters
    seconds: float
    kinds: list[Share]
    functions: list[Share]


class Quoted(_Record):
    """A figure of others that was not measured here, and where it is from."""

    name: str
    what: str
    figure: str
    source: str


class Report(_Record):
    """Everything about one run of the benchmarks."""

    format: str
    command: str
    started: str
    seconds: float
    machine: dict[str, Any]
    versions: dict[str, str]
    peers: dict[str, str]
    options: dict[str, Any]
    figures: list[Figure]
    facts: list[Fact]
    profiles: list[Profile]
    quoted: list[Quoted]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"the format is {self.format}, not {FORMAT}")

    def to_json(self) -> bytes:
        """The document, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a document that `to_json` wrote.

        Raises:
            BadArgument: there is none, or it is another kind of file.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise BadArgument(f"{path} cannot be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadArgument(f"{path} is not a benchmark's result: {error}") from None

    @classmethod
    def joined(cls, reports: Sequence[Report]) -> Report:
        """One report of runs that were made apart, on one machine with the same versions.

        Raises:
            BadArgument: they differ in the processor or the versions.
        """
        first, *others = sorted(reports, key=lambda report: report.started)
        for other in others:
            if (other.machine.get("cpu"), other.versions) != (first.machine.get("cpu"), first.versions):
                raise BadArgument("results of different processors or versions are not one run")
        return cls(
            format=FORMAT,
            command="\n".join(report.command for report in (first, *others)),
            started=first.started,
            seconds=sum(report.seconds for report in reports),
            machine=first.machine,
            versions=first.versions,
            peers=first.peers,
            options={"runs": [report.options for report in (first, *others)]} if others else first.options,
            figures=[figure for report in (first, *others) for figure in report.figures],
            facts=[fact for report in (first, *others) for fact in report.facts],
            profiles=[profile for report in (first, *others) for profile in report.profiles],
            quoted=first.quoted,
        )

    @staticmethod
    def schema() -> dict[str, Any]:
        """The JSON Schema (draft 2020-12) of the document."""
        return msgspec.json.schema(Report)
