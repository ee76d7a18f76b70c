"""Contenders in turn: A, B, A, B, …, every one with fresh operands, every result checked before it counts.

A slow spell of the machine falls on all contenders of a round alike, so that the ratio of two of them within
a round means something when neither time does. CPU time stands beside wall time for the same reason: with one
thread it does not grow while others use the core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.errors import BenchmarkError, WrongResult
from benchmarks.records import Aim, Entry, Figure, Role, Run
from benchmarks.spread import Spread, paired_ratios, spread_of

__all__ = ["Budget", "Contender", "measure", "nothing", "time_runs"]

_LEAST_SECONDS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a figure may take: rounds go on until `seconds` have passed, within the bounds.

    Attributes:
        seconds: Of timed and untimed work together, without the first, checked run.
        least: Rounds at least.
        most: Rounds at most.
    """

    seconds: float
    least: int = 3
    most: int = 200


def nothing() -> None:
    """The operands of a contender that needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do the work of a figure.

    Attributes:
        name: As it is shown.
        role: Kapok's own, a peer, or a reference (an operation that bounds others).
        units: What one run does, in the figure's unit.
        prepare: Makes fresh operands, untimed.
        run: The timed work on them.
        check: Whether operands and result agree with exact integers.
        aim: What it should reach.
        note: What a reader must know to compare.
    """

    name: str
    role: Role
    units: float
    run: Callable[[Any], Any]
    check: Callable[[Any, Any], bool]
    prepare: Callable[[], Any] = nothing
    aim: Aim | None = None
    note: str = ""


def measure(
    *,
    key: str,
    title: str,
    unit: str,
    contenders: Sequence[Contender],
    budget: Budget,
    threads: int = 1,
    parameters: Mapping[str, str | int | float] | None = None,
    baseline: str | None = None,
    absent: Mapping[str, str] | None = None,
) -> Figure:
    """Check every contender once, then time them in turn. A peer that fails is left out, with the reason.

    Raises:
        WrongResult: a contender computed something else than exact integers say, first or last.
        BenchmarkError: Kapok itself fails.
    """
    missing = dict(absent or {})
    contenders = [one for one in contenders if _works(one, missing)]
    runs = time_runs(contenders, budget)
    rates = {
        one.name: (
            [one.units / max(run.wall_s, _LEAST_SECONDS) for run in runs[one.name]],
            [one.units / max(run.cpu_s, _LEAST_SECONDS) for run in runs[one.name]],
        )
        for one in contenders
    }
    base = rates.get(baseline) if baseline is not None else None
    entries = [
        Entry(
            name=one.name,
            role=one.role,
            units_per_run=one.units,
            rate_wall=spread_of(rates[one.name][0]),
            rate_cpu=spread_of(rates[one.name][1]),
            ratio_wall=_ratio(rates[one.name][0], base[0] if base else None),
            ratio_cpu=_ratio(rates[one.name][1], base[1] if base else None),
            runs=runs[one.name],
            aim=one.aim,
            note=one.note,
        )
        for one in contenders
    ]
    return Figure(
        key=key,
        title=title,
        unit=unit,
        threads=threads,
        parameters=dict(parameters or {}),
        baseline=baseline if base else None,
        entries=entries,
        absent=missing,
    )


def time_runs(contenders: Sequence[Contender], budget: Budget) -> dict[str, list[Run]]:
    """The timed runs of each contender, as many for one as for the other, in the order of the rounds.

    Raises:
        WrongResult: a contender's last result is wrong.
    """
    runs: dict[str, list[Run]] = {one.name: [] for one in contenders}
    last: list[tuple[Any, Any]] = []
    began = time.perf_counter()
    for done in range(budget.most):
        if done >= budget.least and time.perf_counter() - began >= budget.seconds:
            break
        last = []
        for one in contenders:
            given, made, run = _once(one)
            runs[one.name].append(run)
            last.append((given, made))
    for one, (given, made) in zip(contenders, last, strict=True):
        _check(one, given, made)
    return runs


def _works(one: Contender, missing: dict[str, str]) -> bool:
    """The first run, untimed and checked."""
    try:
        _check(one, *_once(one)[:2])
    except WrongResult:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        if one.role == "kapok":
            raise BenchmarkError(f"{one.name} failed: {why}") from error
        missing[one.name] = f"not measured: it failed with {why}"
        return False
    return True


def _once(one: Contender) -> tuple[Any, Any, Run]:
    given = one.prepare()
    wall, cpu = time.perf_counter(), time.process_time()
    made = one.run(given)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return given, made, Run(wall_s=wall, cpu_s=cpu)


def _check(one: Contender, given: Any, made: Any) -> None:
    if not one.check(given, made):
        raise WrongResult(f"{one.name}: the result is not the one that exact integers give")


def _ratio(own: Sequence[float], base: Sequence[float] | None) -> Spread | None:
    return None if base is None else spread_of(paired_ratios(own, base))
