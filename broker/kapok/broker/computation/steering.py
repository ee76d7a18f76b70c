"""The analyst's turn in a job of several rounds: its parameters begin a round.

    steering, a sum is there       parameters of the next round   ──▶ a new attempt with the same consents
    steering, a roster is new      parameters of this round       ──▶ the attempt that waits for them

Whoever has come back to a training since it was left behind is in the roster of the next round, when that
round's parameters come. They are for the roster of before then, and the analyst seals them once more.

The broker checks what the analyst signed, and that it is for this very roster; what the parameters are it
cannot read. They come and go in chunks, as sealed vectors do: nobody but analyst and nodes has a model in
memory. Each attempt keeps its own: they are sealed for its roster and for no other.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from kapok.broker.computation.context import Context, Step
from kapok.broker.computation.endings import move_job
from kapok.broker.computation.gathering import reseat
from kapok.broker.computation.openings import open_attempt
from kapok.broker.computation.states import AttemptState, JobEvent, JobState
from kapok.broker.store import Transaction
from kapok.broker.store.schema import AttemptRow, JobRow, ParametersRow
from kapok.errors import NotFound, PeerProtocolError, Unavailable
from kapok.protocols.secure_sum.messages import PARAMETERS_TYP, ParametersStatement, read

__all__ = [
    "Incoming",
    "begin_parameters",
    "make_room",
    "parameters_chunk",
    "parameters_of",
    "waits_for_parameters",
]


def waits_for_parameters(job: JobRow, attempt: AttemptRow) -> bool:
    """Whether an attempt is open and its round's parameters have not come."""
    return job.state == JobState.STEERING and attempt.state == AttemptState.OPEN


def make_room(step: Step, job: JobRow, token: str) -> None:
    """See who takes part in the round that an analyst is about to begin; what it signed says it has the sum.

    Raises:
        KapokError: as `begin_parameters`.
    """
    statement, attempt = _read(step, job, token), step.tx.attempts.latest(job.id)
    if job.state != JobState.STEERING or attempt is None or attempt.state != AttemptState.RELEASED:
        return
    if (statement.job, statement.round) == (bytes.fromhex(job.id), attempt.round + 1):
        reseat(step, job, attempt)


def begin_parameters(step: Step, job: JobRow, token: str) -> Incoming | None:
    """Check what the analyst signed of a round's parameters, before a byte of them is taken.

    Returns:
        Where their chunks go; None when these very parameters are there already.

    Raises:
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``bad_statement``, ``not_the_analyst``, ``wrong_round`` for another job, round or
            roster than the one whose turn it is, or ``not_steering``: it is not the analyst's turn.
    """
    statement = _read(step, job, token)
    if _place(step, job, statement) is None:
        return None
    return Incoming(step.context, job.id, token, statement)


# An upload is named after its process, its job, and itself.
_JOB_DIGITS: Final = 16
_OWN_BYTES: Final = 8


class Incoming:
    """Parameters on their way in; the round begins when they are whole.

    Of a job there is one at a time: from its first chunks on, older ones are of no use any more. So an
    analyst who begins many fills no more of the disk than one takes.

    Args:
        context: Where they are stored.
        job_id: Their job.
        token: What the analyst signed of them.
        statement: The same, checked.
    """

    def __init__(self, context: Context, job_id: str, token: str, statement: ParametersStatement) -> None:
        self._context, self._job_id = context, job_id
        self._token, self._statement = token, statement
        self._of_job = job_id[:_JOB_DIGITS]
        self._upload = context.broker + self._of_job + secrets.token_hex(_OWN_BYTES)
        self._chunks = self._bytes = 0

    def add(self, chunks: Sequence[bytes]) -> None:
        """Store the next chunks.

        Raises:
            PeerProtocolError: ``parameters_too_long``.
            Unavailable: ``upload_lost``: a newer upload of the same job's has overtaken it.
        """
        with self._context.step() as step:
            self._store(step, chunks)

    def finish(self, chunks: Sequence[bytes] = ()) -> None:
        """Store the last chunks as `add`, and begin the round.

        Raises:
            Unavailable: ``upload_lost``: the chunks are not there any more; the same is to be sent again.
            PeerProtocolError: as `add` and `begin_parameters`.
        """
        with self._context.step() as step:
            self._store(step, chunks)
            job = step.tx.jobs.get(self._job_id)
            attempt = None if job is None else _place(step, job, self._statement)
            if job is None or attempt is None:
                step.tx.attempts.delete_upload(self._upload)
                return
            if step.tx.attempts.count_chunks(self._upload) != self._chunks or not self._chunks:
                raise _lost()
            if attempt.state == AttemptState.RELEASED:
                step.tx.vectors.delete_sum(attempt.id)
                attempt = _next_round(step, job, attempt)
            row = ParametersRow(attempt=attempt.id, hash=self._statement.params.hex(), received_at=step.now)
            row.statement, row.upload, row.chunks = self._token, self._upload, self._chunks
            step.tx.attempts.add_parameters(row)
            move_job(step, job, JobEvent.CONTINUATION)

    def _store(self, step: Step, chunks: Sequence[bytes]) -> None:
        self._bytes += sum(map(len, chunks))
        if self._bytes > self._context.limits.vector_bytes_max:
            raise PeerProtocolError(
                "the parameters are longer than this broker takes",
                code="parameters_too_long",
                remedy="use a smaller model, or ask the broker's people to raise limits.vector_mib_max",
            )
        if not self._chunks:
            step.tx.attempts.overtake(self._of_job, self._upload)
        elif step.tx.attempts.count_chunks(self._upload) != self._chunks:
            raise _lost()
        step.tx.attempts.add_chunks(self._upload, self._chunks, chunks)
        self._chunks += len(chunks)

    def abandon(self, _error: BaseException) -> None:
        """Forget what has been stored."""
        with self._context.step() as step:
            step.tx.attempts.delete_upload(self._upload)


def parameters_of(tx: Transaction, node: str, job_id: str, place: tuple[int, int]) -> tuple[str, int]:
    """What the chunks of a job's parameters are kept under, and how many there are.

    Args:
        tx: The transaction.
        node: Who asks: a member of the attempt's roster.
        job_id: The job.
        place: Round and attempt.

    Raises:
        NotFound: ``parameters_gone``.
    """
    attempt = tx.attempts.latest(job_id)
    if attempt is not None and (attempt.round, attempt.number) == place:
        row = tx.attempts.parameters(attempt.id)
        if row is not None and tx.attempts.seats(attempt.id, node):
            return row.upload, row.chunks
    raise _gone()


def parameters_chunk(tx: Transaction, upload: str, number: int) -> bytes:
    """One chunk of parameters.

    Raises:
        NotFound: ``parameters_gone``.
    """
    chunk = tx.attempts.chunk(upload, number)
    if chunk is None:
        raise _gone()
    return chunk


def _read(step: Step, job: JobRow, token: str) -> ParametersStatement:
    statement, _ = read(ParametersStatement, PARAMETERS_TYP, token, step.context.verifier)
    if statement.name != job.analyst:
        raise PeerProtocolError(
            "the parameters are signed by another than the job's analyst",
            code="not_the_analyst",
            party=statement.name,
        )
    return statement


def _place(step: Step, job: JobRow, statement: ParametersStatement) -> AttemptRow | None:
    """The attempt whose turn it is: released, or open and waiting. None when its parameters are there.

    Raises:
        PeerProtocolError: ``wrong_round`` or ``not_steering``.
    """
    attempt = step.tx.attempts.latest(job.id)
    if attempt is None or _are_there(step, attempt, statement):
        return None
    if job.state != JobState.STEERING:
        raise PeerProtocolError(
            f"the job is {job.state}: it is not its analyst's turn", code="not_steering", party=job.analyst
        )
    admitted = step.context.admitted(step.tx, job)
    number = attempt.round + (attempt.state == AttemptState.RELEASED)
    wanted = (bytes.fromhex(job.id), number, step.context.roster_of(step.tx, admitted, attempt).hash)
    if (statement.job, statement.round, statement.roster) != wanted:
        raise PeerProtocolError(
            "the parameters are for another job, round or roster than the one whose turn it is",
            code="wrong_round",
            party=job.analyst,
            remedy="fetch the job's evidence again: a node may have come with new keys meanwhile",
        )
    return attempt


def _are_there(step: Step, attempt: AttemptRow, statement: ParametersStatement) -> bool:
    """Whether the newest attempt has these parameters already: they were sent twice."""
    known = step.tx.attempts.parameters(attempt.id)
    same = (bytes.fromhex(attempt.job), attempt.round) == (statement.job, statement.round)
    return known is not None and same and known.hash == statement.params.hex()


def _lost() -> Unavailable:
    return Unavailable(
        "the parameters were not stored whole", code="upload_lost", remedy="send them again, once at a time"
    )


def _gone() -> NotFound:
    return NotFound("the parameters of that attempt are not needed any more", code="parameters_gone")


def _next_round(step: Step, job: JobRow, summed: AttemptRow) -> AttemptRow:
    """The first attempt of the next round, with the consents of the one that was summed.

    No scope is open any more: the releases of the first round have fixed the cohort.
    """
    job.round, job.attempts = summed.round + 1, 1
    roster = step.tx.attempts.roster(summed.id)
    return open_attempt(step, job, [(row.node, row.consent, None) for row in roster])
