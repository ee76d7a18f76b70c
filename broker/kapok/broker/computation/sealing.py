"""Sealed vectors: taken chunk by chunk, counted when whole and verified, folded when all are in.

An upload's signed statement is checked before a byte is taken, every chunk before it is stored, length and
digest before the upload counts. What is wrong is refused with the name of the party, and leaves no trace
but its code. When the last member's vector counts, the attempt is `complete` in the same transaction:
nothing voids it any more. Then the chunks of one number, all members' together, become the chunk of the sum
and are deleted, some numbers in each step; no vector is ever in memory as a whole.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from kapok.broker.computation.context import Context, Step
from kapok.broker.computation.endings import fail_job, move_attempt, move_job
from kapok.broker.computation.faults import note_fault
from kapok.broker.computation.gathering import settle
from kapok.broker.computation.releasing import sum_up
from kapok.broker.computation.statements import check_signer, job_for
from kapok.broker.computation.states import AttemptEvent, AttemptState, JobEvent, JobState
from kapok.broker.computation.steering import waits_for_parameters
from kapok.broker.store.schema import AttemptRow, SealedVectorRow
from kapok.errors import InternalError, KapokError, PeerProtocolError
from kapok.identity.names import PartyName
from kapok.logs.traces import span
from kapok.protocols.secure_sum.aggregator import (
    check_chunks,
    check_seal,
    check_vector,
    chunk_lengths,
    fold,
)
from kapok.protocols.secure_sum.messages import SealStatement
from kapok.protocols.secure_sum.params import SumTerms

__all__ = ["Upload", "begin_upload", "fold_some"]

# Chunks that are read and added in one step, all members' together: everybody else waits meanwhile.
_READ_AT_ONCE: Final = 32
_log = logging.getLogger(__name__)


def begin_upload(context: Context, caller: PartyName, job_id: str, token: str) -> Upload | None:
    """Check a seal statement, before a byte of its vector is taken. Nothing is written yet.

    Returns:
        Where the chunks go; None when this very vector has been counted already.

    Raises:
        NotFound: ``unknown_job``.
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``attempt_voided``, ``attempt_complete``, ``job_ended``, ``not_the_signer``, or
            what `kapok.protocols.secure_sum.aggregator.check_seal` raises.
    """
    with context.look() as step:
        job, member = job_for(step, caller, job_id)
        attempt = step.tx.attempts.latest(job_id)
        if attempt is None or attempt.state == AttemptState.VOIDED or waits_for_parameters(job, attempt):
            raise _voided(member.node)
        admitted = context.admitted(step.tx, job)
        roster = context.roster_of(step.tx, admitted, attempt)
        statement = check_seal(
            admitted.terms,
            roster,
            attempt.round,
            attempt.number,
            token,
            context.verifier,
            params_hash=context.params_hash(step.tx, admitted, attempt),
        )
        check_signer(caller, statement.name)
        counted = step.tx.vectors.counted_of(attempt.id, member.node)
        if counted is not None and counted.digest == statement.vector_sha256.hex():
            return None
        if attempt.state != AttemptState.OPEN:
            raise _closed(member.node, attempt.state)
        lengths = chunk_lengths(admitted.terms, len(roster.members))
        return Upload(context, admitted.terms, attempt.id, token, statement, lengths)


class Upload:
    """One vector on its way in. What it keeps in memory is lost with the process, and the node begins again.

    It is on record from its first chunks on; then an older upload of the same node is of no use any more.

    Args:
        context: Where it is stored.
        terms: Of its job.
        attempt_id: Row number of its attempt.
        token: The seal statement as signed.
        statement: The same, checked.
        lengths: The length that each chunk must have.
    """

    def __init__(
        self,
        context: Context,
        terms: SumTerms,
        attempt_id: int,
        token: str,
        statement: SealStatement,
        lengths: Sequence[int],
    ) -> None:
        self._context = context
        self._attempt_id, self._token = attempt_id, token
        self._vector_id: int | None = None
        self._job_id = terms.job_id.hex()
        self._terms = terms
        self._statement = statement
        self._lengths = lengths
        self._received = 0
        self._digest = hashlib.sha256()

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.abandon(error)

    @property
    def job_id(self) -> str:
        """The job that it belongs to."""
        return self._job_id

    def add(self, chunks: Sequence[bytes]) -> None:
        """Check and store the next chunks.

        Raises:
            PeerProtocolError: ``bad_chunk`` or ``bad_ciphertext`` naming the party; ``attempt_voided`` when
                the upload is of no use any more.
        """
        self._check(chunks)
        with self._context.step() as step:
            row = self._row(step)
            step.tx.vectors.append(row, chunks, step.now)
        if self._vector_id is None:
            self._vector_id = row.id
            self._context.store.when_lost(self._not_begun)

    def finish(self, chunks: Sequence[bytes] = ()) -> None:
        """Store the last chunks as `add`, count the vector, and complete the attempt if it was the last.

        Raises:
            PeerProtocolError: as `add`; ``bad_chunk`` when chunks are missing, ``digest_differs``,
                ``attempt_voided``.
        """
        self._check(chunks)
        if self._received != len(self._lengths):
            raise _bad_length(self._statement.name)
        check_vector(self._statement, self._digest.digest())
        with self._context.step() as step:
            row = self._row(step)
            step.tx.vectors.append(row, chunks, step.now)
            attempt = _open_attempt(step, row)
            older = step.tx.vectors.counted_of(row.attempt, row.node)
            if older is not None:
                step.tx.vectors.delete(older)
            row.counted = True
            _count(step, attempt, row)

    def abandon(self, error: BaseException) -> None:
        """Forget what has been stored; remember what was wrong with it."""
        with self._context.step() as step:
            row = None if self._vector_id is None else step.tx.vectors.get(self._vector_id)
            if row is not None and row.counted:
                return
            if row is not None:
                step.tx.vectors.delete(row)
        if isinstance(error, PeerProtocolError):
            note_fault(self._context, self._statement.name, self._job_id, error.code)
        code = error.code if isinstance(error, KapokError) else "cut_off"
        _log.warning(
            "upload dropped", extra={"job": self._job_id, "party": self._statement.name, "code": code}
        )

    def _check(self, chunks: Sequence[bytes]) -> None:
        party = self._statement.name
        for number, chunk in enumerate(chunks, start=self._received):
            if number >= len(self._lengths) or len(chunk) != self._lengths[number]:
                raise _bad_length(party)
        check_chunks(self._terms, chunks, party=party)
        for chunk in chunks:
            self._digest.update(chunk)
        self._received += len(chunks)

    def _begun(self, step: Step) -> SealedVectorRow:
        """Put it on record."""
        party = self._statement.name
        attempt = step.tx.attempts.get(self._attempt_id)
        if attempt is None or attempt.state != AttemptState.OPEN:
            raise _voided(party)
        for older in step.tx.vectors.uploads(attempt.id, party):
            step.tx.vectors.delete(older)
        row = SealedVectorRow(attempt=attempt.id, node=party, token=self._token, touched_at=step.now)
        row.digest, row.broker = self._statement.vector_sha256.hex(), self._context.broker
        row.chunks = row.bytes = 0
        step.tx.vectors.add(row)
        return row

    def _not_begun(self) -> None:
        """What is not on disk leaves its number to another upload, which this one must not touch."""
        self._vector_id = None

    def _row(self, step: Step) -> SealedVectorRow:
        if self._vector_id is None:
            return self._begun(step)
        row = step.tx.vectors.get(self._vector_id)
        if row is None or row.counted:
            raise PeerProtocolError(
                "this upload is of no use any more: its attempt is void, or a newer upload has overtaken it",
                code="attempt_voided",
                party=self._statement.name,
                remedy="wait for what the broker asks for next",
            )
        return row


def fold_some(context: Context, job_id: str) -> bool:
    """Fold the next chunks of a complete attempt into its sum; return whether there are more."""
    with span("fold", job=job_id), context.step() as step:
        job, attempt = step.tx.jobs.get(job_id), step.tx.attempts.latest(job_id)
        if job is None or attempt is None or attempt.state != AttemptState.COMPLETE:
            return False
        if not context.leads(step.tx, job_id):
            return False
        terms = context.admitted(step.tx, job).terms
        parties = step.tx.attempts.names(attempt.id)
        last = min(attempt.folded + max(1, _READ_AT_ONCE // len(parties)), attempt.chunks)
        try:
            for number in range(attempt.folded, last):
                folded = fold(terms, step.tx.vectors.same_chunk(attempt.id, number), parties=parties)
                step.tx.vectors.add_sum_chunk(attempt.id, number, folded)
                # At once: to delete whole vectors in one step would keep everybody else waiting.
                step.tx.vectors.delete_same_chunk(attempt.id, number)
        except KapokError as error:
            _log.exception("fold failed", exc_info=error, extra={"job": job_id})
            inside = InternalError("the sealed vectors could not be added", code="fold_failed")
            fail_job(step, job, inside if error.party is None else error)
            settle(step, job.organisation)
            return False
        attempt.folded = last
        if last == attempt.chunks:
            step.tx.brokers.give_back(job_id)
        if sum_up(step, job, attempt):
            settle(step, job.organisation)
        return last < attempt.chunks


def _open_attempt(step: Step, row: SealedVectorRow) -> AttemptRow:
    attempt = step.tx.attempts.get(row.attempt)
    if attempt is None or attempt.state != AttemptState.OPEN:
        raise _voided(row.node)
    return attempt


def _count(step: Step, attempt: AttemptRow, row: SealedVectorRow) -> None:
    job, member = step.tx.jobs.get(attempt.job), step.tx.jobs.member(attempt.job, row.node)
    if job is None or member is None or job.state != JobState.SEALING:
        raise _voided(row.node)
    job.bytes_received += row.bytes
    member.fault = None
    step.touch(job)
    # Members alone have a vector counted, and each but one.
    if step.tx.vectors.count(attempt.id) < step.tx.attempts.size(attempt.id):
        return
    for upload in step.tx.vectors.uploads(attempt.id):
        if upload.id != row.id:
            step.tx.vectors.delete(upload)
    attempt.chunks = row.chunks
    move_attempt(step, attempt, AttemptEvent.COMPLETION)
    move_job(step, job, JobEvent.COMPLETION)


def _voided(node: str) -> PeerProtocolError:
    return PeerProtocolError(
        "the attempt that this vector was sealed for is void",
        code="attempt_voided",
        party=node,
        remedy="wait for the next attempt",
    )


def _closed(node: str, state: str) -> PeerProtocolError:
    ended = state != AttemptState.COMPLETE
    return PeerProtocolError(
        "the job has ended" if ended else "all sealed vectors are in: none is replaced any more",
        code="job_ended" if ended else "attempt_complete",
        party=node,
    )


def _bad_length(node: str) -> PeerProtocolError:
    return PeerProtocolError(
        "the sealed vector does not have the length that specification and roster ask for",
        code="bad_chunk",
        party=node,
    )
