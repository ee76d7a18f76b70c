"""What an analyst is told about a job, and the evidence that goes with a sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kapok.broker.computation.context import Context
from kapok.broker.computation.endings import read_error
from kapok.broker.computation.patience import NEEDS_ALL, patience_of
from kapok.broker.computation.states import LIVE, AttemptState, JobState
from kapok.broker.store import Transaction
from kapok.broker.store.jobs import Asked
from kapok.broker.store.schema import AttemptRow, JobRow
from kapok.errors import NotFound
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.messages import JobStatus

__all__ = ["evidence_of", "released_attempt", "shown_attempt", "status_of", "waited_for"]

_ANALYSTS: Final = frozenset({JobState.SUMMED, JobState.STEERING})


def status_of(context: Context, tx: Transaction, job: JobRow) -> JobStatus:
    """Where a job is."""
    members, attempt = tx.jobs.members(job.id), _standing_attempt(tx, job)
    roster = _roster(tx, attempt)
    missing = _missing(tx, job, members, attempt, roster)
    admitted = context.readable(tx, job) if missing else None
    patience = patience_of(tx, job, admitted, context.limits) if admitted else NEEDS_ALL
    return JobStatus(
        job_id=job.id,
        state=JobState(job.state),
        specification=context.specification(tx, job.id),
        waiting_for=missing,
        roster=roster,
        refusals=tuple(member.refusal for member in members if member.refusal is not None),
        error=read_error(job.error),
        submitted_at=job.submitted_at,
        changed_at=job.changed_at,
        attempt=job.attempts,
        bytes_received=job.bytes_received,
        not_connected=tuple(node for node in missing if context.absent(node)),
        fewer_after_s=patience.fewer_after_s,
        cohort_fixed=patience.cohort_fixed,
        round=job.round,
        turn_after=0 if job.at_work else tx.jobs.ahead(job, LIVE),
    )


def waited_for(tx: Transaction, job: JobRow) -> tuple[str, ...]:
    """Names of the nodes whose consent, sealed vector or release is wanted next, sorted by name."""
    attempt = _standing_attempt(tx, job)
    return _missing(tx, job, tx.jobs.members(job.id), attempt, _roster(tx, attempt))


def _missing(
    tx: Transaction,
    job: JobRow,
    members: Sequence[Asked],
    attempt: AttemptRow | None,
    roster: tuple[str, ...],
) -> tuple[str, ...]:
    match JobState(job.state):
        case JobState.GATHERING if not job.at_work:
            return ()
        case JobState.GATHERING:
            consented = tx.jobs.consenting(job.id)
            return tuple(
                member.node
                for member in members
                if member.refusal is None and not member.left_behind and member.node not in consented
            )
        case JobState.SEALING if attempt is not None:
            there = tx.vectors.counted_names(attempt.id)
        case JobState.RELEASING if attempt is not None:
            there = tx.attempts.released_names(attempt.id)
        case _:
            return ()
    return tuple(node for node in roster if node not in there)


def released_attempt(tx: Transaction, job: JobRow) -> AttemptRow:
    """The attempt whose sum waits for the analyst, after the last round or between two.

    Raises:
        NotFound: ``no_sum_yet`` or ``sum_gone``.
    """
    attempt = tx.attempts.latest(job.id)
    if job.state in _ANALYSTS and attempt is not None and attempt.state == AttemptState.RELEASED:
        return attempt
    if job.state in LIVE:
        raise NotFound(
            "the job has no sum yet", code="no_sum_yet", remedy="`kapok job wait JOB` waits until it has"
        )
    raise NotFound(
        f"the job is {job.state}: the broker keeps no sum of it",
        code="sum_gone",
        remedy="see `kapok job show JOB` for the reason, or ask again",
    )


def shown_attempt(tx: Transaction, job: JobRow) -> AttemptRow:
    """The attempt whose evidence the analyst needs: with a sum, or open and waiting for its parameters.

    Raises:
        NotFound: as `released_attempt`.
    """
    attempt = tx.attempts.latest(job.id)
    if job.state == JobState.STEERING and attempt is not None:
        return attempt
    return released_attempt(tx, job)


def evidence_of(tx: Transaction, attempt: AttemptRow) -> Evidence:
    """Everything signed about an attempt, each sorted by the member's name; of an open one the consents."""
    roster = tx.attempts.roster(attempt.id)
    seals, releases = tx.vectors.counted(attempt.id), tx.attempts.releases(attempt.id)
    return Evidence(
        round=attempt.round,
        attempt=attempt.number,
        consents=tuple(row.consent for row in roster),
        seals=tuple(seals[row.node].token for row in roster if row.node in seals),
        releases=tuple(releases[row.node] for row in roster if row.node in releases),
    )


def _roster(tx: Transaction, attempt: AttemptRow | None) -> tuple[str, ...]:
    return () if attempt is None else tx.attempts.names(attempt.id)


def _standing_attempt(tx: Transaction, job: JobRow) -> AttemptRow | None:
    attempt = tx.attempts.latest(job.id)
    return None if attempt is None or attempt.state == AttemptState.VOIDED else attempt
