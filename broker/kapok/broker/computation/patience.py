"""How long a job that settles for fewer organisations waits for everybody, and when it never goes on without.

    gathering    goes on with those who consented after `consent_grace_s`
    sealing      goes on with those who have sealed after `seal_grace_s`; a training with those who have or
                 are connected, for an app may take long

Neither once a cohort is fixed that the job is for: then it waits for exactly that cohort, as long as its
deadline allows. Nor in a later round, for sums of different nodes make no one answer; but the exchanges of a
training are questions of their own, each with the roster of its own, where no node keeps the rule ``fixed``.

See `rosters` and `deadlines`, which decide; here it is also said, to the analyst who waits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kapok.broker.computation.admitted import AdmittedJob
from kapok.broker.computation.cohorts import statement_of
from kapok.broker.computation.context import FIRST_ROUND
from kapok.broker.computation.rosters import Answer, stated_cohort
from kapok.broker.computation.statements import refusal_of
from kapok.broker.computation.states import JobState
from kapok.broker.settings import Limits
from kapok.broker.store import Transaction
from kapok.broker.store.schema import JobRow

__all__ = ["NEEDS_ALL", "Patience", "answers_of", "goes_on_without", "no_cohort_yet", "patience_of"]


@dataclass(frozen=True, slots=True)
class Patience:
    """What the wait for everybody comes to.

    Attributes:
        fewer_after_s: Seconds after which the present step goes on without the silent; 0: it does not.
        cohort_fixed: It does not, though the analyst settled for fewer: the cohort is fixed.
    """

    fewer_after_s: float
    cohort_fixed: bool


NEEDS_ALL: Final = Patience(0.0, cohort_fixed=False)


def patience_of(tx: Transaction, job: JobRow, admitted: AdmittedJob, limits: Limits) -> Patience:
    """How long a job waits for everybody in its present step."""
    if not goes_on_without(tx, job, admitted):
        return NEEDS_ALL
    match JobState(job.state):
        case JobState.GATHERING:
            fixed = stated_cohort(admitted, answers_of(tx, job)) is not None
            return Patience(0.0 if fixed else limits.consent_grace_s, fixed)
        case JobState.SEALING:
            attempt = tx.attempts.latest(job.id)
            fixed = attempt is not None and not no_cohort_yet(tx, job, tx.attempts.names(attempt.id))
            return Patience(0.0 if fixed else limits.seal_grace_s, fixed)
        case _:
            return NEEDS_ALL


def goes_on_without(tx: Transaction, job: JobRow, admitted: AdmittedJob, *, ahead: int = 0) -> bool:
    """Whether a job may go on without some of the nodes that it names.

    Args:
        tx: The transaction.
        job: The job.
        admitted: Its specification.
        ahead: 0 for the round that it is in, 1 for the next.
    """
    if admitted.needs_everyone or job.round + ahead == FIRST_ROUND:
        return not admitted.needs_everyone
    return admitted.specification.steered and "fixed" not in tx.jobs.rules(job.id)


def answers_of(tx: Transaction, job: JobRow) -> list[Answer]:
    """What each member of a job has answered so far."""
    consents = tx.jobs.consents(job.id)
    return [
        Answer(
            node=member.node,
            organisation=member.organisation,
            consent=statement_of(consents[member.node]) if member.node in consents else None,
            refusal=refusal_of(member.refusal, member.node) if member.refusal else None,
            left_behind=member.left_behind,
        )
        for member in tx.jobs.members(job.id)
    ]


def no_cohort_yet(tx: Transaction, job: JobRow, nodes: Collection[str]) -> bool:
    """Whether all of these nodes have consented, and no cohort of its own binds any of them."""
    consents = tx.jobs.consents(job.id)
    return all(node in consents and not consents[node].binds for node in nodes)
