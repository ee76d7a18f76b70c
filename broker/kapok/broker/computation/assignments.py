"""What a node owes now: from durable state alone, hence the same after any lost connection or restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kapok.broker.computation.office import Office
from kapok.broker.computation.states import ENDED, LIVE, AttemptState, JobState
from kapok.broker.store import Transaction
from kapok.broker.store.schema import AttemptRow, JobRow
from kapok.wire.messages import Assignment, Closed, Completion, Offer, OpenAttempt

__all__ = ["AssignmentKey", "assignments"]

AssignmentKey = tuple[str, str, int]
"""Kind, job, and what tells a new assignment from one that has been sent: times asked, or attempt."""

_MOST_CLOSED: Final = 256
_CLOSED: Final = ENDED | {JobState.SUMMED}


def assignments(office: Office, node: str) -> dict[AssignmentKey, Assignment]:
    """Everything that a node is asked to do now, oldest job first; and the jobs that are over for it."""
    with office.store.snapshot() as tx:
        owed: dict[AssignmentKey, Assignment] = {}
        since = office.clock() - office.limits.closed_notice_s
        for job_id in reversed(tx.jobs.closed_to(node, _CLOSED, since, _MOST_CLOSED)):
            owed["closed", job_id, 0] = Closed(job_id)
        for job in tx.jobs.asking(node, LIVE):
            owed |= dict(_owed(tx, job, node))
        return owed


def _owed(tx: Transaction, job: JobRow, node: str) -> Iterator[tuple[AssignmentKey, Assignment]]:
    attempt = tx.attempts.latest(job.id)
    match JobState(job.state):
        case JobState.GATHERING:
            member = tx.jobs.member(job.id, node)
            if member is not None and member.refusal is None and node not in tx.jobs.consents(job.id):
                yield ("offer", job.id, member.asked), Offer(job.specification)
        case JobState.SEALING if attempt is not None and attempt.state == AttemptState.OPEN:
            yield from _seal_owed(tx, job, attempt, node)
        case JobState.RELEASING if attempt is not None and attempt.state == AttemptState.COMPLETE:
            yield from _release_owed(tx, job, attempt, node)
        case _:
            pass


def _seal_owed(
    tx: Transaction, job: JobRow, attempt: AttemptRow, node: str
) -> Iterator[tuple[AssignmentKey, Assignment]]:
    roster = tx.attempts.roster(attempt.id)
    if node in {row.node for row in roster} and node not in tx.vectors.counted(attempt.id):
        yield (
            ("open", job.id, attempt.number),
            OpenAttempt(
                specification=job.specification,
                round=attempt.round,
                attempt=attempt.number,
                consents=tuple(row.consent for row in roster),
            ),
        )


def _release_owed(
    tx: Transaction, job: JobRow, attempt: AttemptRow, node: str
) -> Iterator[tuple[AssignmentKey, Assignment]]:
    seals = tx.vectors.counted(attempt.id)
    if node in seals and node not in tx.attempts.releases(attempt.id):
        yield (
            ("completion", job.id, attempt.number),
            Completion(
                job_id=job.id,
                round=attempt.round,
                attempt=attempt.number,
                seals=tuple(seals[name].token for name in sorted(seals, key=str.encode)),
            ),
        )
