"""How an app's work ends, and what is said of it: Kapok's own words, nothing that the app wrote."""

from __future__ import annotations

import enum
import signal
from typing import Final

from kapok.errors import InvalidInput, KapokError, TimedOut, counted
from kapok.nodes.apps.limits import AppLimits

__all__ = ["Ending", "ended", "ending_of", "failure"]


class Ending(enum.Enum):
    """Why an app gave no reply."""

    CLOSED = enum.auto()
    CRASHED = enum.auto()
    NOT_LOADED = enum.auto()
    TIMED_OUT = enum.auto()
    OUT_OF_MEMORY = enum.auto()
    REPLY_TOO_LARGE = enum.auto()
    PRINTED_TOO_MUCH = enum.auto()
    SCRATCH_FULL = enum.auto()
    TOO_MANY_PROCESSES = enum.auto()
    DENIED = enum.auto()


_TOLD: Final = {
    1: Ending.CRASHED,
    2: Ending.OUT_OF_MEMORY,
    3: Ending.SCRATCH_FULL,
    4: Ending.TOO_MANY_PROCESSES,
    5: Ending.DENIED,
    6: Ending.NOT_LOADED,
}
_OUTPUT: Final = "what it printed is in the node's folder apps/output, for the holder alone"


def failure(told: int, *, loading: bool) -> Ending:
    """What the process says of itself, in one byte.

    It is the app's word: a hint, and good for nothing else.
    """
    return _TOLD.get(told, Ending.NOT_LOADED if loading else Ending.CRASHED)


def ending_of(status: int) -> Ending:
    """What a process's end looks like from outside, by its exit status as `subprocess` has it."""
    if -status in (signal.SIGXFSZ, signal.SIGXCPU):
        return Ending.SCRATCH_FULL if -status == signal.SIGXFSZ else Ending.TIMED_OUT
    return Ending.CRASHED


def ended(ending: Ending, limits: AppLimits) -> KapokError:
    """The error that says so."""
    if ending is Ending.TIMED_OUT:
        return TimedOut(
            f"the app did not answer within {counted(limits.call_timeout_s, 'second')}, or what "
            "was left of the job's time, and was stopped",
            code="app_timed_out",
            remedy=f"let it do less in a round, or allow it more: call_timeout_s; {_OUTPUT}",
        )
    code, what, remedy = {
        Ending.OUT_OF_MEMORY: (
            "app_out_of_memory",
            f"the app wanted more memory than the {limits.memory_mib} MiB that it has",
            "let it use less, or allow it more: memory_mib",
        ),
        Ending.REPLY_TOO_LARGE: (
            "app_wrote_too_much",
            f"the app's reply is larger than the {limits.reply_mib} MiB that it may have",
            "let it reply with weights alone, or allow it more: reply_mib",
        ),
        Ending.PRINTED_TOO_MUCH: (
            "app_wrote_too_much",
            f"the app printed more than the {limits.output_mib} MiB that it may",
            "let it print less, or allow it more: output_mib",
        ),
        Ending.SCRATCH_FULL: (
            "app_wrote_too_much",
            f"the app's files are larger, or more, than the {limits.scratch_mib} MiB of scratch space hold",
            "let it write less, or allow it more: scratch_mib",
        ),
        Ending.TOO_MANY_PROCESSES: (
            "app_too_many_processes",
            f"the app wanted more than {limits.processes} processes, threads among them",
            "let it start fewer, or allow it more: processes",
        ),
        Ending.DENIED: (
            "app_denied",
            "the app tried what it may not: a network, a file that is not its own, another process",
            "read its code, and ask who wrote it; an app needs nothing but its messages and the partition",
        ),
        Ending.NOT_LOADED: (
            "app_not_loaded",
            "the app's ClientApp could not be loaded",
            "see that what it imports is in the node's environment for apps: `kapok fl inspect` lists it",
        ),
    }.get(
        ending,
        ("app_crashed", "the app raised an error, or its process ended", "try it with `flwr run` first"),
    )
    return InvalidInput(what, code=code, remedy=f"{remedy}; {_OUTPUT}")
