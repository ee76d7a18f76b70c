"""The analyst's turn in a job of several rounds: its parameters begin a round.

    steering, a sum is there       parameters of the next round   ──▶ a new attempt with the same consents
    steering, a roster is new      parameters of this round again ──▶ the attempt that waits for them

The broker checks what the analyst signed, and that it is for this very roster; what the parameters are it
cannot read. Each attempt of a later round keeps its own: they are sealed for its roster and for no other.
"""

from __future__ import annotations

from kapok.broker.computation.endings import move_job
from kapok.broker.computation.office import Step
from kapok.broker.computation.openings import open_attempt
from kapok.broker.computation.states import AttemptState, JobEvent, JobState
from kapok.broker.store.schema import AttemptRow, JobRow, ParametersRow
from kapok.errors import PeerProtocolError
from kapok.protocols.secure_sum.messages import PARAMETERS_TYP, ParametersStatement, read
from kapok.wire.messages import RoundParameters

__all__ = ["steer", "waits_for_parameters"]


def waits_for_parameters(job: JobRow, attempt: AttemptRow) -> bool:
    """Whether an attempt of a later round is open and its parameters have not come."""
    return job.state == JobState.STEERING and attempt.state == AttemptState.OPEN


def steer(step: Step, job: JobRow, parameters: RoundParameters) -> None:
    """Begin a round with the analyst's parameters; the same ones again are no change.

    Raises:
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``bad_statement``, ``not_the_analyst``, ``wrong_round`` for another job, round or
            roster than the one whose turn it is, or ``not_steering``: it is not the analyst's turn.
    """
    statement, _ = read(ParametersStatement, PARAMETERS_TYP, parameters.statement, step.office.verifier)
    if statement.name != job.analyst:
        raise PeerProtocolError(
            "the parameters are signed by another than the job's analyst",
            code="not_the_analyst",
            party=statement.name,
        )
    attempt = step.tx.attempts.latest(job.id)
    if attempt is None or _are_there(step, attempt, statement):
        return
    if job.state != JobState.STEERING:
        raise PeerProtocolError(
            f"the job is {job.state}: it is not its analyst's turn", code="not_steering", party=job.analyst
        )
    admitted = step.office.admitted(job)
    roster = step.tx.attempts.roster(attempt.id)
    number = attempt.round + (attempt.state == AttemptState.RELEASED)
    wanted = (
        bytes.fromhex(job.id),
        number,
        step.office.roster(admitted, [row.consent for row in roster]).hash,
    )
    if (statement.job, statement.round, statement.roster) != wanted:
        raise PeerProtocolError(
            "the parameters are for another job, round or roster than the one whose turn it is",
            code="wrong_round",
            party=job.analyst,
            remedy="fetch the job's evidence again: a node may have come with new keys meanwhile",
        )
    if attempt.state == AttemptState.RELEASED:
        step.tx.vectors.delete_sum(attempt.id)
        attempt = _next_round(step, job, attempt)
    row = ParametersRow(attempt=attempt.id, hash=statement.params.hex(), received_at=step.now)
    row.statement, row.ciphertext = parameters.statement, parameters.ciphertext
    step.tx.attempts.add_parameters(row)
    move_job(step, job, JobEvent.CONTINUATION)


def _are_there(step: Step, attempt: AttemptRow, statement: ParametersStatement) -> bool:
    """Whether the newest attempt has these parameters already: they were sent twice."""
    known = step.tx.attempts.parameters(attempt.id)
    same = (bytes.fromhex(attempt.job), attempt.round) == (statement.job, statement.round)
    return known is not None and same and known.hash == statement.params.hex()


def _next_round(step: Step, job: JobRow, summed: AttemptRow) -> AttemptRow:
    """The first attempt of the next round, with the consents of the one that was summed.

    No scope is open any more: the releases of the first round have fixed the cohort.
    """
    job.round, job.attempts = summed.round + 1, 1
    roster = step.tx.attempts.roster(summed.id)
    return open_attempt(step, job, [(row.node, row.consent, None) for row in roster])
