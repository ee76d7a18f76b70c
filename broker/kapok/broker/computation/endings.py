"""Events of jobs and attempts, and what is deleted with them.

Every change of a state goes through `move_job` and `move_attempt`, so that the tables in `states` are the
law, the history has a line for each, and everyone concerned is told.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from kapok.broker.computation.cohorts import ask_neighbours_again
from kapok.broker.computation.context import Move, Step
from kapok.broker.computation.scheduling import begin_waiting
from kapok.broker.computation.states import (
    LIVE,
    AttemptEvent,
    AttemptState,
    JobEvent,
    JobState,
    next_attempt_state,
    next_job_state,
)
from kapok.broker.store.schema import AttemptRow, EventRow, JobRow
from kapok.errors import InvalidInput, KapokError, NotFound, Refused, error_class

__all__ = ["cancel_job", "expire_sum", "fail_job", "move_attempt", "move_job", "read_error", "void_attempt"]

_WORD: Final = 64


class _ErrorText(msgspec.Struct, frozen=True):
    """An error as the store keeps it."""

    kind: str
    code: str
    message: str
    remedy: str | None
    clause: str | None
    party: str | None


def move_job(
    step: Step,
    job: JobRow,
    event: JobEvent,
    *,
    party: str = "",
    code: str = "",
    error: KapokError | None = None,
) -> None:
    """Apply an event to a job.

    Args:
        step: The change that it belongs to.
        job: The job.
        event: What happens to it.
        party: Who brought it about, where it is one party's doing.
        code: Of the reason.
        error: The reason, where the job ends with it; it names party and code.

    Raises:
        LocalProtocolError: ``illegal_event``; nothing has changed.
    """
    if error is not None:
        party, code = error.party or "", error.code
    left, since = JobState(job.state), job.changed_at
    job.state = state = next_job_state(left, event)
    job.changed_at = step.now
    step.moves.append(Move(left, state, step.now - since, step.now - job.submitted_at))
    if event is JobEvent.VOIDING:
        job.gathering_since = step.now
    line = EventRow(
        job=job.id,
        at=step.now,
        event=event,
        state=job.state,
        round=job.round,
        attempt=job.attempts,
        party=party,
        code=code[:_WORD],
    )
    step.tx.jobs.record(line)
    # Of an answer that was fetched nodes have heard before: with its sum they were done.
    if event is JobEvent.ACKNOWLEDGEMENT and left is JobState.SUMMED:
        step.touch(job)
    else:
        step.touch_all(job)
    if left in LIVE and state not in LIVE:
        begin_waiting(step, job.analyst)
    step.log(_level(error), f"job {event}", _told(job) | _why(party, code, error))


def _level(error: KapokError | None) -> int:
    """A job that ends by a rule is everyday's; one that ends by a fault or a silence is not."""
    by_rule = error is None or isinstance(error, Refused | InvalidInput | NotFound)
    return logging.INFO if by_rule else logging.WARNING


def _told(job: JobRow) -> dict[str, object]:
    return {
        "job": job.id,
        "analyst": job.analyst,
        "state": str(job.state),
        "round": job.round,
        "attempt": job.attempts,
    }


def _why(party: str, code: str, error: KapokError | None) -> dict[str, object]:
    told: dict[str, object] = {"party": party, "code": code}
    if error is not None:
        told |= {"what": error.message, "clause": error.clause, "remedy": error.remedy}
    return {key: value for key, value in told.items() if value}


def move_attempt(step: Step, attempt: AttemptRow, event: AttemptEvent) -> None:
    """Apply an event to an attempt.

    Raises:
        LocalProtocolError: ``illegal_event``; nothing has changed.
    """
    attempt.state = next_attempt_state(AttemptState(attempt.state), event)
    attempt.changed_at = step.now


def void_attempt(step: Step, job: JobRow, attempt: AttemptRow, *, party: str, code: str) -> None:
    """Void an open attempt and take its job back to gathering. Its vectors are of no use: deleted."""
    move_attempt(step, attempt, AttemptEvent.VOIDING)
    step.tx.vectors.delete_chunks(attempt.id)
    step.tx.attempts.empty_parameters(attempt.id)
    move_job(step, job, JobEvent.VOIDING, party=party, code=code)


def fail_job(step: Step, job: JobRow, error: KapokError) -> None:
    """End a job that cannot go on, with the reason."""
    _end_attempt(step, job)
    job.error = _error_text(error)
    move_job(step, job, JobEvent.FAILURE, error=error)


def cancel_job(step: Step, job: JobRow) -> None:
    """End a job because its analyst wants it no more."""
    _end_attempt(step, job)
    move_job(step, job, JobEvent.CANCELLATION)


def expire_sum(step: Step, job: JobRow, error: KapokError) -> None:
    """Delete a sum for which its analyst has not come."""
    _end_attempt(step, job)
    job.error = _error_text(error)
    move_job(step, job, JobEvent.EXPIRY, error=error)


def read_error(text: str | None) -> KapokError | None:
    """The error that a job failed with."""
    if text is None:
        return None
    stored = msgspec.json.decode(text.encode(), type=_ErrorText)
    return error_class(stored.kind)(
        stored.message, code=stored.code, remedy=stored.remedy, clause=stored.clause, party=stored.party
    )


def _error_text(error: KapokError) -> str:
    stored = _ErrorText(
        type(error).__name__, error.code, error.message, error.remedy, error.clause, error.party
    )
    return msgspec.json.encode(stored).decode()


def _end_attempt(step: Step, job: JobRow) -> None:
    """End the newest attempt with its job, and delete what it holds."""
    attempt = step.tx.attempts.latest(job.id)
    if attempt is None:
        return
    match AttemptState(attempt.state):
        case AttemptState.OPEN:
            move_attempt(step, attempt, AttemptEvent.VOIDING)
        case AttemptState.COMPLETE:
            move_attempt(step, attempt, AttemptEvent.ABANDONMENT)
            ask_neighbours_again(step, job, attempt)
        case AttemptState.RELEASED | AttemptState.VOIDED | AttemptState.ABANDONED:
            pass
    step.tx.vectors.delete_chunks(attempt.id)
    step.tx.vectors.delete_sum(attempt.id)
    step.tx.attempts.empty_parameters(attempt.id)
