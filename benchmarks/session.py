"""One pass over the suites: collects figures and facts, says what is going on, notes who is absent."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from benchmarks.measuring import Budget, Contender, measure
from benchmarks.peers import Absent
from benchmarks.records import Aim, Fact, Figure, Profile
from benchmarks.spread import spread_of

__all__ = ["SUITES", "Options", "Session"]

_Peer = TypeVar("_Peer")
SUITES: Final = ("core", "paillier", "secure-sum", "federated", "memory", "query", "flights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for.

    Attributes:
        suites: Names out of `SUITES`.
        bits: Key sizes.
        threads: Numbers of threads, each measured in a process of its own.
        seconds: Aimed at for each figure.
        repeats: Rounds at least for each figure.
        short: Smaller vectors, fewer parameters, everything in minutes.
        profile: Whether to measure where the time goes.
        flights: Folder with the files of `examples/flights`; without it that suite does nothing.
    """

    suites: tuple[str, ...]
    bits: tuple[int, ...]
    threads: tuple[int, ...]
    seconds: float
    repeats: int
    short: bool
    profile: bool
    flights: str | None = None


@dataclass(slots=True)
class Session:
    """What the suites share: options, this process's number of threads, and what was found so far."""

    options: Options
    threads: int
    figures: list[Figure] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line of progress, on standard error."""
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def figure(
        self,
        key: str,
        title: str,
        unit: str,
        contenders: Sequence[Contender],
        *,
        baseline: str | None = None,
        parameters: Mapping[str, str | int | float] | None = None,
        absent: dict[str, str] | None = None,
        seconds: float | None = None,
        repeats: int | None = None,
    ) -> Figure:
        """Measure and keep a figure; `seconds` and `repeats` are those of the options unless given here.

        Raises:
            WrongResult: see `measure`.
        """
        given = ", ".join(f"{name} {value}" for name, value in (parameters or {}).items())
        self.say(f"{key}: {title}, {given}, {self.threads} threads")
        found = measure(
            key=key,
            title=title,
            unit=unit,
            contenders=contenders,
            budget=Budget(
                self.options.seconds if seconds is None else seconds,
                least=self.options.repeats if repeats is None else repeats,
            ),
            threads=self.threads,
            parameters=parameters,
            baseline=baseline,
            absent=absent,
        )
        self.figures.append(found)
        return found

    def fact(
        self,
        key: str,
        title: str,
        unit: str,
        values: float | Sequence[float],
        *,
        parameters: Mapping[str, str | int | float] | None = None,
        aim: Aim | None = None,
        note: str = "",
    ) -> None:
        """Keep a number that is no rate."""
        several = [values] if isinstance(values, (int, float)) else list(values)
        self.facts.append(
            Fact(
                key=key,
                title=title,
                unit=unit,
                threads=self.threads,
                parameters=dict(parameters or {}),
                value=spread_of(several),
                aim=aim,
                note=note,
            )
        )

    def peer(self, name: str, make: Callable[[], _Peer], absent: dict[str, str]) -> _Peer | None:
        """A peer, or None and in `absent` why there is none."""
        try:
            return make()
        except Absent as error:
            absent[name] = f"not measured: {error}"
            return None
