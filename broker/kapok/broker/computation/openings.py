"""The beginning of an attempt: one of a round, with a fixed roster."""

from __future__ import annotations

from collections.abc import Iterable

from kapok.broker.computation.context import Step
from kapok.broker.computation.states import FIRST_ATTEMPT_STATE
from kapok.broker.store.schema import AttemptRow, JobRow

__all__ = ["open_attempt"]


def open_attempt(step: Step, job: JobRow, roster: Iterable[tuple[str, str, str | None]]) -> AttemptRow:
    """Begin the attempt that the job's `round` and `attempts` number; its state is the caller's to move.

    Args:
        step: The change that it is part of.
        job: With the numbers of the new attempt.
        roster: For each node its name, the consent that counts, and the scope whose cohort its release would
            fix; None where it is fixed.
    """
    attempt = AttemptRow(
        job=job.id,
        round=job.round,
        number=job.attempts,
        state=FIRST_ATTEMPT_STATE,
        opened_at=step.now,
        changed_at=step.now,
    )
    step.tx.attempts.add(attempt, list(roster))
    return attempt
