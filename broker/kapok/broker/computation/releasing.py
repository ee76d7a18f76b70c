"""Releases, and the end of an attempt."""

from __future__ import annotations

from kapok.broker.computation.cohorts import ask_neighbours_again
from kapok.broker.computation.context import Step
from kapok.broker.computation.endings import move_attempt, move_job
from kapok.broker.computation.gathering import settle
from kapok.broker.computation.statements import check_signer, job_for
from kapok.broker.computation.states import AttemptEvent, AttemptState, JobEvent
from kapok.broker.store.schema import AttemptRow, JobRow, ReleaseRow
from kapok.errors import PeerProtocolError
from kapok.identity.names import PartyName
from kapok.protocols.secure_sum.aggregator import check_release, check_seal

__all__ = ["sum_up", "take_release"]


def take_release(step: Step, caller: PartyName, job_id: str, token: str) -> None:
    """Keep a node's release; the sum is ready when it was the last.

    Raises:
        NotFound: ``unknown_job``.
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``not_complete``, ``job_ended``, ``not_the_signer``, or what
            `kapok.protocols.secure_sum.aggregator.check_release` raises.
    """
    job, member = job_for(step, caller, job_id)
    attempt = step.tx.attempts.latest(job_id)
    sealed = None if attempt is None else step.tx.vectors.counted_of(attempt.id, member.node)
    if attempt is None or attempt.state in (AttemptState.OPEN, AttemptState.VOIDED) or sealed is None:
        raise PeerProtocolError(
            "not all sealed vectors are in: nothing is released yet", code="not_complete", party=member.node
        )
    context, admitted = step.context, step.context.admitted(step.tx, job)
    roster = context.roster_of(step.tx, admitted, attempt)
    place = (admitted.terms, roster, attempt.round, attempt.number)
    params_hash = context.params_hash(step.tx, admitted, attempt)
    seal = check_seal(*place, sealed.token, context.verifier, params_hash=params_hash)
    statement = check_release(*place, seal, token, context.verifier)
    check_signer(caller, statement.name)
    if step.tx.attempts.has_released(attempt.id, member.node):
        return
    if attempt.state != AttemptState.COMPLETE:
        raise PeerProtocolError("the job has ended", code="job_ended", party=member.node)
    release = ReleaseRow(attempt=attempt.id, node=member.node, token=token, received_at=step.now)
    step.tx.attempts.add_release(release)
    step.touch(job)
    if sum_up(step, job, attempt):
        settle(step, job.organisation)


def sum_up(step: Step, job: JobRow, attempt: AttemptRow) -> bool:
    """Make the sum ready if every release is in and every chunk folded; return whether it was.

    After the last round nobody but the analyst is needed any more; after any other it is the analyst's turn.
    """
    if attempt.folded < attempt.chunks:
        return False
    # Members alone release, and each but once.
    if step.tx.attempts.count_releases(attempt.id) < step.tx.attempts.size(attempt.id):
        return False
    move_attempt(step, attempt, AttemptEvent.SUMMING)
    step.tx.vectors.delete_chunks(attempt.id)
    step.tx.attempts.empty_parameters(attempt.id)
    last = attempt.round >= step.context.admitted(step.tx, job).specification.rounds
    move_job(step, job, JobEvent.SUMMING if last else JobEvent.CONSULTATION)
    ask_neighbours_again(step, job, attempt)
    return True
