"""Where the time of an operation goes: by kind of NumPy work, and by function of Kapok's own.

By kind, the arithmetic's modules get a NumPy that keeps time: every function called through the name `np` is
counted under what it does. What is left (Python itself, methods of arrays, loops) is the rest. By function,
the standard profiler tells each function's own time. Both slow the work down a little, so that a profile is
measured apart from the figures, and its shares are what counts.
"""

from __future__ import annotations

import cProfile
import importlib
import pkgutil
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Final

import numpy as np

from benchmarks.records import Parameters, Profile, Share

__all__ = ["KINDS", "profile"]

_PACKAGES: Final = ("kapok.protocols.arithmetic", "kapok.protocols.paillier")
_REST: Final = "the rest: Python, methods of arrays"
_MOST_FUNCTIONS: Final = 15
_LEAST_SECONDS: Final = 0.5

KINDS: Final = {
    "matmul": "matrix products",
    "dot": "matrix products",
    "einsum": "matrix products",
    "take": "gathering table entries",
    "copyto": "copies and conversions",
    "frombuffer": "copies and conversions",
    "ascontiguousarray": "copies and conversions",
    "concatenate": "copies and conversions",
    "packbits": "copies and conversions",
    "unpackbits": "copies and conversions",
    "empty": "new arrays",
    "zeros": "new arrays",
    "ones": "new arrays",
    "empty_like": "new arrays",
}
_ELEMENTWISE: Final = "elementwise arithmetic"


def profile(
    key: str,
    title: str,
    work: Callable[[Any], Any],
    *,
    prepare: Callable[[], Any],
    parameters: Parameters,
) -> Profile:
    """Profile a piece of work on fresh operands, repeated for about a second; it must run on this thread.

    Shares are of CPU time.
    """
    work(prepare())
    kinds, seconds = _by_kind(work, prepare)
    return Profile(
        key=key,
        title=title,
        parameters=dict(parameters),
        seconds=seconds,
        kinds=kinds,
        functions=_by_function(work, prepare),
    )


class TimedNumpy:
    """NumPy under the name `np` of a module: functions keep their time, everything else is as it is."""

    def __init__(self, spent: dict[str, list[float]]) -> None:
        self._spent = spent

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        kind = KINDS.get(name, _ELEMENTWISE if isinstance(found, np.ufunc) else f"other: np.{name}")
        timed = self._timed(found, kind)
        setattr(self, name, timed)
        return timed

    def _timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        times = self._spent.setdefault(kind, [])

        def call(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            made = function(*given, **named)
            times.append(time.perf_counter() - began)
            return made

        # `np.add.reduce` and the like.
        if isinstance(function, np.ufunc):
            for method in ("reduce", "accumulate", "outer", "at", "reduceat"):
                setattr(call, method, getattr(function, method))
        return call


def _by_kind(work: Callable[[Any], Any], prepare: Callable[[], Any]) -> tuple[list[Share], float]:
    spent: dict[str, list[float]] = {}
    total = 0.0
    with _timed_numpy(spent):
        while total < _LEAST_SECONDS:
            kept = {kind: len(times) for kind, times in spent.items()}
            given = prepare()
            for kind, times in spent.items():
                del times[kept.get(kind, 0) :]
            began = time.perf_counter()
            work(given)
            total += time.perf_counter() - began
    shares = [
        Share(name=kind, seconds=sum(times), share=sum(times) / total, calls=len(times))
        for kind, times in spent.items()
        if times
    ]
    rest = total - sum(one.seconds for one in shares)
    shares.append(Share(name=_REST, seconds=rest, share=rest / total, calls=0))
    return sorted(shares, key=lambda one: -one.seconds), total


def _by_function(work: Callable[[Any], Any], prepare: Callable[[], Any]) -> list[Share]:
    profiler = cProfile.Profile()
    began = time.perf_counter()
    while time.perf_counter() - began < _LEAST_SECONDS:
        given = prepare()
        profiler.enable()
        work(given)
        profiler.disable()
    stats = pstats.Stats(profiler).get_stats_profile()
    total = stats.total_tt or 1.0
    found = [
        Share(
            name=_place(name, one.file_name),
            seconds=one.tottime,
            share=one.tottime / total,
            calls=_calls(one.ncalls),
        )
        for name, one in stats.func_profiles.items()
    ]
    return sorted(found, key=lambda one: -one.seconds)[:_MOST_FUNCTIONS]


@contextmanager
def _timed_numpy(spent: dict[str, list[float]]) -> Iterator[None]:
    modules = [module for package in _PACKAGES for module in _modules(package) if hasattr(module, "np")]
    timed: Any = TimedNumpy(spent)
    for module in modules:
        module.np = timed
    try:
        yield
    finally:
        for module in modules:
            module.np = np


def _modules(package: str) -> Iterator[Any]:
    found = importlib.import_module(package)
    for module in pkgutil.iter_modules(found.__path__, f"{package}."):
        yield importlib.import_module(module.name)


def _place(name: str, file_name: str) -> str:
    path = PurePath(file_name)
    return f"{path.stem}.{name}" if path.suffix == ".py" else name


def _calls(text: str) -> int:
    """``5/3`` where a function called itself."""
    return int(str(text).split("/", maxsplit=1)[0])
