"""What a node owes now: from durable state alone, hence the same after any lost connection or restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kapok.broker.computation.office import Office
from kapok.broker.computation.patience import goes_on_without
from kapok.broker.computation.states import ENDED, AttemptState, JobState
from kapok.broker.store import Transaction
from kapok.broker.store.duties import Duty
from kapok.wire.messages import (
    Assignment,
    Closed,
    Completion,
    Offer,
    OpenAttempt,
    ReopenCohort,
    RoundParameters,
)

__all__ = ["AssignmentKey", "assignments"]

AssignmentKey = tuple[str, str, int, int]
"""Kind, job or reopening, and what tells a new assignment from one that was sent: times asked, or round and
attempt."""

_MOST_CLOSED: Final = 256
_CLOSED: Final = ENDED | {JobState.SUMMED}


def assignments(office: Office, node: str) -> dict[AssignmentKey, Assignment]:
    """All that a node is asked to do now: reopenings, then jobs, oldest first; and jobs that are over."""
    with office.store.snapshot() as tx:
        owed: dict[AssignmentKey, Assignment] = {}
        since = office.clock() - office.limits.closed_notice_s
        for job_id in reversed(tx.duties.closed(node, _CLOSED, since, _MOST_CLOSED)):
            owed["closed", job_id, 0, 0] = Closed(job_id)
        for row in tx.reopenings.owed_to(node, office.clock()):
            owed["reopening", row.id, 0, 0] = ReopenCohort(tx.reopenings.document(row).to_json())
        duties = tx.duties.of(
            node,
            gathering=JobState.GATHERING,
            sealing=JobState.SEALING,
            releasing=JobState.RELEASING,
        )
        for duty in duties:
            owed |= dict(_assignment(office, tx, duty))
        return owed


def _assignment(office: Office, tx: Transaction, duty: Duty) -> Iterator[tuple[AssignmentKey, Assignment]]:
    match duty:
        case Duty(state=JobState.GATHERING):
            yield ("offer", duty.job, 0, duty.asked), Offer(duty.specification)
        case Duty(left_behind=True):
            job = tx.jobs.get(duty.job)
            if job is not None and goes_on_without(tx, job, office.admitted(job), ahead=1):
                yield ("offer", duty.job, 0, duty.asked), Offer(duty.specification)
        case Duty(state=JobState.SEALING, attempt=int(row), round=int(round_), number=int(number)) if (
            duty.attempt_state == AttemptState.OPEN
        ):
            consents = tuple(member.consent for member in tx.attempts.roster(row))
            parameters = tx.attempts.parameters(row)
            yield (
                ("open", duty.job, round_, number),
                OpenAttempt(
                    specification=duty.specification,
                    round=round_,
                    attempt=number,
                    consents=consents,
                    parameters=RoundParameters(parameters.statement) if parameters else None,
                ),
            )
        case Duty(state=JobState.RELEASING, attempt=int(row), round=int(round_), number=int(number)) if (
            duty.attempt_state == AttemptState.COMPLETE
        ):
            counted = tx.vectors.counted(row)
            seals = tuple(counted[name].token for name in sorted(counted, key=str.encode))
            yield (
                ("completion", duty.job, round_, number),
                Completion(job_id=duty.job, round=round_, attempt=number, seals=seals),
            )
        case _:
            pass
