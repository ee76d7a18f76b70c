"""What nodes owe now: from durable state alone, hence the same after any lost connection or restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kapok.broker.computation.context import Context
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


def assignments(
    context: Context, nodes: Mapping[str, float | None]
) -> dict[str, dict[AssignmentKey, Assignment]]:
    """All that nodes are asked to do now: reopenings, then jobs, oldest first; and jobs that are over.

    Args:
        context: Where it is looked up.
        nodes: Their names, each with the time since which jobs that are over are wanted; None for the newest
            of `Limits.closed_notice_s`.
    """
    with context.store.snapshot() as tx:
        owed: dict[str, dict[AssignmentKey, Assignment]] = {node: {} for node in nodes}
        for node, jobs in _closed(context, tx, nodes).items():
            owed[node] |= {("closed", job_id, 0, 0): Closed(job_id) for job_id in jobs}
        for node, rows in tx.reopenings.owed_to(nodes, context.clock()).items():
            for row in rows:
                owed[node]["reopening", row.id, 0, 0] = ReopenCohort(tx.reopenings.document(row).to_json())
        duties = tx.duties.of(
            nodes,
            gathering=JobState.GATHERING,
            sealing=JobState.SEALING,
            releasing=JobState.RELEASING,
        )
        made: dict[Duty, tuple[AssignmentKey, Assignment] | None] = {}
        for node, wanted in duties.items():
            for duty in wanted:
                if duty not in made:
                    made[duty] = _assignment(context, tx, duty)
                if (found := made[duty]) is not None:
                    owed[node][found[0]] = found[1]
        return owed


def _closed(context: Context, tx: Transaction, nodes: Mapping[str, float | None]) -> dict[str, list[str]]:
    """The jobs that are over, oldest first."""
    found: dict[str, list[str]] = {}
    times = {node: since for node, since in nodes.items() if since is not None}
    if times:
        found |= tx.duties.just_closed(times, _CLOSED, min(times.values()))
    ever = context.clock() - context.limits.closed_notice_s
    for node in nodes.keys() - times.keys():
        found[node] = list(reversed(tx.duties.closed(node, _CLOSED, ever, _MOST_CLOSED)))
    return found


def _assignment(context: Context, tx: Transaction, duty: Duty) -> tuple[AssignmentKey, Assignment] | None:
    """The one that all nodes with this duty are given."""
    match duty:
        case Duty(state=JobState.GATHERING):
            offer = Offer(context.specification(tx, duty.job))
            return ("offer", duty.job, 0, duty.asked), offer
        case Duty(left_behind=True):
            job = tx.jobs.get(duty.job)
            admitted = context.readable(tx, job) if job else None
            if job is None or admitted is None or not goes_on_without(tx, job, admitted, ahead=1):
                return None
            return ("offer", duty.job, 0, duty.asked), Offer(context.specification(tx, duty.job))
        case Duty(state=JobState.SEALING, attempt=int(row), round=int(round_), number=int(number)) if (
            duty.attempt_state == AttemptState.OPEN
        ):
            parameters = tx.attempts.parameters(row)
            opened = OpenAttempt(
                specification=context.specification(tx, duty.job),
                round=round_,
                attempt=number,
                consents=context.consents(tx, row),
                parameters=RoundParameters(parameters.statement) if parameters else None,
            )
            return ("open", duty.job, round_, number), opened
        case Duty(state=JobState.RELEASING, attempt=int(row), round=int(round_), number=int(number)) if (
            duty.attempt_state == AttemptState.COMPLETE
        ):
            completion = Completion(
                job_id=duty.job, round=round_, attempt=number, seals=context.seals(tx, row)
            )
            return ("completion", duty.job, round_, number), completion
        case _:
            return None
