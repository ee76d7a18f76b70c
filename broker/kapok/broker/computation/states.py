"""The states of a job and of an attempt, each machine in one literal table.

A job
=====
A job begins in ``gathering``: its members are asked for consent. When enough of them have given
it, an *opening* fixes a roster and takes the job to ``sealing``, where each member of the roster computes
and sends its sealed vector. Until the last of them is in, the attempt can be voided (a member lost its
keys, refused, or is left behind): a *voiding* takes the job back to ``gathering``, and the next opening
makes the next attempt.

When the last vector is in, *completion* takes the job to ``releasing``. From here there is no way back:
nodes are about to say what opens this attempt's sum, and say it for at most one attempt, so that the only
ways on are forward or out. When every release is in and the vectors are folded, *summing* takes the job to
``summed``: the sum waits for the analyst, and nobody else is needed. *Acknowledgement* by the analyst ends
it in ``finished``; if the analyst does not come for the stated time, *expiry* deletes the sum and the job
has ``failed``.

In a job of several rounds only the last round's sum leads there. After each other round the analyst is asked
how to go on: a *consultation* takes the job to ``steering``, and the nodes keep their keys. The analyst's
parameters are the *continuation*: the next round begins, with the same roster, in ``sealing``. Should an
attempt of a later round be voided, the roster that comes out of ``gathering`` has the same names and other
keys, for which the parameters must be sealed anew: another consultation, without a sum this time. An analyst
that needs no further round acknowledges.

A *failure* (a refusal, the deadline, too few survivors) can end a job in any state before ``summed``; a
*cancellation* by the analyst in any state before its end. ``finished``, ``failed`` and ``cancelled`` are
final.

An attempt
==========
An attempt is born ``open``. *Completion* records that all vectors are in; *summing*
makes it ``released``. It can be *voided* only while it is open: no release exists then, so nothing can be
learnt from it. One that is complete when its job ends some other way is ``abandoned``: some of its releases
may be out, which is why its roster still counts as the cohort that its members may have fixed.

An event that the table does not have raises `LocalProtocolError`, and leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from kapok.errors import LocalProtocolError
from kapok.wire.messages import JobState

__all__ = [
    "ATTEMPT_TRANSITIONS",
    "ENDED",
    "FIRST_ATTEMPT_STATE",
    "FIRST_JOB_STATE",
    "LIVE",
    "TRANSITIONS",
    "AttemptEvent",
    "AttemptState",
    "JobEvent",
    "JobState",
    "next_attempt_state",
    "next_job_state",
]


class JobEvent(StrEnum):
    """What happens to a job."""

    OPENING = "opening"
    VOIDING = "voiding"
    COMPLETION = "completion"
    SUMMING = "summing"
    CONSULTATION = "consultation"
    CONTINUATION = "continuation"
    ACKNOWLEDGEMENT = "acknowledgement"
    EXPIRY = "expiry"
    FAILURE = "failure"
    CANCELLATION = "cancellation"


class AttemptState(StrEnum):
    """Where an attempt is."""

    OPEN = "open"
    COMPLETE = "complete"
    RELEASED = "released"
    VOIDED = "voided"
    ABANDONED = "abandoned"


class AttemptEvent(StrEnum):
    """What happens to an attempt."""

    COMPLETION = "completion"
    SUMMING = "summing"
    VOIDING = "voiding"
    ABANDONMENT = "abandonment"


FIRST_JOB_STATE: Final = JobState.GATHERING
FIRST_ATTEMPT_STATE: Final = AttemptState.OPEN

TRANSITIONS: Final[Mapping[tuple[JobState, JobEvent], JobState]] = {
    (JobState.GATHERING, JobEvent.OPENING): JobState.SEALING,
    (JobState.GATHERING, JobEvent.CONSULTATION): JobState.STEERING,
    (JobState.GATHERING, JobEvent.FAILURE): JobState.FAILED,
    (JobState.GATHERING, JobEvent.CANCELLATION): JobState.CANCELLED,
    (JobState.SEALING, JobEvent.VOIDING): JobState.GATHERING,
    (JobState.SEALING, JobEvent.COMPLETION): JobState.RELEASING,
    (JobState.SEALING, JobEvent.FAILURE): JobState.FAILED,
    (JobState.SEALING, JobEvent.CANCELLATION): JobState.CANCELLED,
    (JobState.RELEASING, JobEvent.SUMMING): JobState.SUMMED,
    (JobState.RELEASING, JobEvent.CONSULTATION): JobState.STEERING,
    (JobState.RELEASING, JobEvent.FAILURE): JobState.FAILED,
    (JobState.RELEASING, JobEvent.CANCELLATION): JobState.CANCELLED,
    (JobState.STEERING, JobEvent.CONTINUATION): JobState.SEALING,
    (JobState.STEERING, JobEvent.VOIDING): JobState.GATHERING,
    (JobState.STEERING, JobEvent.ACKNOWLEDGEMENT): JobState.FINISHED,
    (JobState.STEERING, JobEvent.FAILURE): JobState.FAILED,
    (JobState.STEERING, JobEvent.CANCELLATION): JobState.CANCELLED,
    (JobState.SUMMED, JobEvent.ACKNOWLEDGEMENT): JobState.FINISHED,
    (JobState.SUMMED, JobEvent.EXPIRY): JobState.FAILED,
    (JobState.SUMMED, JobEvent.CANCELLATION): JobState.CANCELLED,
}

ATTEMPT_TRANSITIONS: Final[Mapping[tuple[AttemptState, AttemptEvent], AttemptState]] = {
    (AttemptState.OPEN, AttemptEvent.COMPLETION): AttemptState.COMPLETE,
    (AttemptState.OPEN, AttemptEvent.VOIDING): AttemptState.VOIDED,
    (AttemptState.COMPLETE, AttemptEvent.SUMMING): AttemptState.RELEASED,
    (AttemptState.COMPLETE, AttemptEvent.ABANDONMENT): AttemptState.ABANDONED,
}

LIVE: Final = frozenset({JobState.GATHERING, JobState.SEALING, JobState.RELEASING, JobState.STEERING})
"""States in which a job needs its nodes, now or for a later round, and in which its deadline counts."""

ENDED: Final = frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED})
"""Final states."""


def next_job_state(state: JobState, event: JobEvent) -> JobState:
    """The state that a job goes to.

    Raises:
        LocalProtocolError: ``illegal_event`` when the table does not have the event in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise _illegal("job", state, event) from None


def next_attempt_state(state: AttemptState, event: AttemptEvent) -> AttemptState:
    """The state that an attempt goes to.

    Raises:
        LocalProtocolError: ``illegal_event`` when the table does not have the event in this state.
    """
    try:
        return ATTEMPT_TRANSITIONS[state, event]
    except KeyError:
        raise _illegal("attempt", state, event) from None


def _illegal(what: str, state: StrEnum, event: StrEnum) -> LocalProtocolError:
    return LocalProtocolError(f"{what} is {state}: {event} cannot happen to it now", code="illegal_event")
