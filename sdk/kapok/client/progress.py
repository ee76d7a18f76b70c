"""How a job goes on, told live to whoever waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kapok.errors import InvalidInput, counted
from kapok.identity.names import PartyName
from kapok.wire.messages import JobState

if TYPE_CHECKING:
    from kapok.wire.messages import JobStatus

__all__ = [
    "SHOWN_DIGITS",
    "Listener",
    "Progress",
    "Stopwatch",
    "progress_of",
    "short_name",
    "silent",
    "with_fewer",
]

SHOWN_DIGITS: Final = 12
"""So many digits of an identity are shown where the whole is too long: enough to name it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing that happened.

    Attributes:
        step: ``notice``, ``retrying``, ``submitted``, ``opening`` or a job's state.
        text: The same for people.
        job_id: Lower-case hex, or empty before there is a job.
        waiting_for: Names of the nodes whose turn it is.
    """

    step: str
    text: str
    job_id: str = ""
    waiting_for: tuple[str, ...] = ()


Listener = Callable[[Progress], None]


def silent(_progress: Progress) -> None:
    """A listener that tells nobody."""


class Stopwatch:
    """A listener that passes everything on and notes how long each step took."""

    def __init__(self, listener: Listener, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with the step ``asking``."""
        self._listener = listener
        self._clock = clock
        self._step = "asking"
        self._since = self._began = clock()
        self._seconds: dict[str, float] = {}

    @classmethod
    def of(cls, listener: Listener) -> Stopwatch:
        """The listener, if it is one that runs already; else a new one before it."""
        return listener if isinstance(listener, Stopwatch) else cls(listener)

    def __call__(self, progress: Progress) -> None:
        """Note the step that begins, and pass it on."""
        if progress.step not in ("notice", "retrying"):
            self._turn(progress.step)
        self._listener(progress)

    def seconds(self) -> dict[str, float]:
        """Seconds of each step so far, in the order in which they began."""
        self._turn(self._step)
        return dict(self._seconds)

    def total(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def _turn(self, step: str) -> None:
        now = self._clock()
        self._seconds[self._step] = self._seconds.get(self._step, 0.0) + now - self._since
        self._step, self._since = step, now


_VERB: Final = {
    JobState.GATHERING: "waiting for consents",
    JobState.SEALING: "sealing",
    JobState.RELEASING: "releasing",
}
_WORDS: Final = {
    JobState.STEERING: "the sum is ready, the next round is not",
    JobState.SUMMED: "the sum is ready",
    JobState.FINISHED: "finished",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_ENDED: Final = frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED})


def short_name(party: str) -> str:
    """Organisation and name of a party, for people: ``cleveland/heart``; the text itself if it is no name."""
    try:
        name = PartyName.parse(party)
    except InvalidInput:
        return party
    return f"{name.organisation}/{name.name}"


def with_fewer(after_s: float, *, cohort_fixed: bool) -> str:
    """What becomes of a job that settles for fewer organisations; empty for one that does not.

    Args:
        after_s: Seconds after which it goes on without the silent; 0: it does not.
        cohort_fixed: Earlier answers have fixed whom it waits for.
    """
    if cohort_fixed:
        return "does not go on with fewer: earlier answers have fixed which nodes a sum is of"
    return f"goes on with fewer after {after_s:g} s" if after_s > 0 else ""


def progress_of(status: JobStatus, members: int, rounds: int = 1) -> Progress:
    """What a status means for who waits, e.g. ``waiting for consents 3/4: va/heart (not connected)``.

    Args:
        status: As the broker told it.
        members: Number of nodes that the specification names.
        rounds: Number of rounds that it asks for.
    """
    verb = _VERB.get(status.state)
    if status.turn_after:
        text = f"waiting for its turn: {counted(status.turn_after, 'job')} of yours before it"
    elif verb is None:
        text = _WORDS[status.state]
    else:
        all_of = len(status.roster) or members
        missing = ", ".join(
            short_name(party) + (" (not connected)" if party in status.not_connected else "")
            for party in status.waiting_for
        )
        fewer = with_fewer(status.fewer_after_s, cohort_fixed=status.cohort_fixed)
        text = f"{verb} {max(all_of - len(status.waiting_for), 0)}/{all_of}"
        text += (f": {missing}" if missing else "") + (f"; {fewer}" if fewer else "")
    if rounds > 1 and status.state not in _ENDED:
        text = f"round {status.round}/{rounds}: {text}"
    return Progress(step=status.state.value, text=text, job_id=status.job_id, waiting_for=status.waiting_for)
