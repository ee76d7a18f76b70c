"""Jobs behind one face: every verb of analysts and nodes, and the clock. Synchronous; one caller at a time.

Each verb is one transaction (an upload is several, of which the last counts), on disk before it returns,
and may be called again with the same arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kapok.broker.computation import admission, deadlines, gathering, peers, releasing, sealing, steering
from kapok.broker.computation.assignments import AssignmentKey, assignments
from kapok.broker.computation.context import Context
from kapok.broker.computation.endings import cancel_job, move_job
from kapok.broker.computation.faults import faults_noted
from kapok.broker.computation.sealing import Upload
from kapok.broker.computation.statements import unknown_job
from kapok.broker.computation.states import ENDED, AttemptState, JobEvent, JobState
from kapok.broker.computation.status import evidence_of, released_attempt, shown_attempt, status_of
from kapok.broker.computation.steering import Incoming
from kapok.broker.store import Transaction
from kapok.broker.store.schema import JobRow
from kapok.errors import InvalidInput, NotFound
from kapok.identity.names import PartyName, Role
from kapok.protocols.secure_sum.evidence import Evidence
from kapok.wire.messages import Assignment, JobStatus

__all__ = ["Jobs"]

_MOST_LISTED: Final = 1000
_CLOCK: Final = "clock"


class Jobs:
    """The logic of jobs and attempts over one store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # Analysts

    def submit(self, caller: PartyName, specification: str) -> str:
        """Admit a signed specification; return the job's id. See `admission.admit` for what it raises."""
        with self._context.step() as step:
            return admission.admit(step, caller, specification)

    def listed(self, caller: PartyName) -> Sequence[str]:
        """Ids of the caller's newest jobs, newest first; an operator sees everybody's."""
        with self._context.store.snapshot() as tx:
            analyst = None if caller.role is Role.OPERATOR else str(caller)
            return tx.jobs.of_analyst(analyst, _MOST_LISTED)

    def jobs(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Where some of the jobs are that were `listed`; those that are gone meanwhile are left out."""
        with self._context.store.snapshot() as tx:
            found = map(tx.jobs.get, job_ids)
            return [status_of(self._context, tx, job) for job in found if job is not None]

    def job(self, caller: PartyName, job_id: str) -> JobStatus:
        """Where one job is.

        Raises:
            NotFound: ``unknown_job``: there is none, or it is another's.
        """
        with self._context.store.snapshot() as tx:
            return status_of(self._context, tx, _own(tx, caller, job_id))

    def cancel(self, caller: PartyName, job_id: str) -> None:
        """End a job.

        Raises:
            NotFound: ``unknown_job``.
            InvalidInput: ``job_ended`` when it has finished or failed.
        """
        with self._context.step() as step:
            job = _own(step.tx, caller, job_id, by_analyst=True)
            if job.state == JobState.CANCELLED:
                return
            if job.state in ENDED:
                raise InvalidInput(
                    f"the job is {job.state} already",
                    code="job_ended",
                    remedy="there is nothing to cancel; `kapok job show JOB` says how it ended",
                )
            cancel_job(step, job)
            gathering.settle(step, job.organisation)

    def evidence(self, caller: PartyName, job_id: str) -> tuple[Evidence, int]:
        """What was signed about the attempt whose sum is ready, and the number of the sum's chunks.

        Between two rounds, when the roster is new: its consents, and no sum.

        Raises:
            NotFound: ``unknown_job``, ``no_sum_yet`` or ``sum_gone``.
        """
        with self._context.store.snapshot() as tx:
            attempt = shown_attempt(tx, _own(tx, caller, job_id, by_analyst=True))
            return evidence_of(tx, attempt), attempt.chunks

    def sum_chunk(self, caller: PartyName, job_id: str, number: int) -> bytes:
        """One chunk of the sealed sum.

        Raises:
            NotFound: ``unknown_job``, ``no_sum_yet`` or ``sum_gone``.
        """
        with self._context.store.snapshot() as tx:
            attempt = released_attempt(tx, _own(tx, caller, job_id, by_analyst=True))
            chunk = tx.vectors.sum_chunk(attempt.id, number)
            if chunk is None:
                raise NotFound("the sum has no such chunk", code="sum_gone")
            return chunk

    def begin_parameters(self, caller: PartyName, job_id: str, token: str) -> Incoming | None:
        """Begin to take a round's parameters; None when they are there already.

        See `steering.begin_parameters` for what else it raises.

        Raises:
            NotFound: ``unknown_job``.
        """
        with self._context.step() as step:
            steering.make_room(step, _own(step.tx, caller, job_id, by_analyst=True), token)
        with self._context.step() as step:
            job = _own(step.tx, caller, job_id, by_analyst=True)
            return steering.begin_parameters(step, job, token)

    def acknowledge(self, caller: PartyName, job_id: str) -> None:
        """Note that the analyst has the sum, and delete it.

        Raises:
            NotFound: ``unknown_job``, ``no_sum_yet`` or ``sum_gone``.
        """
        with self._context.step() as step:
            job = _own(step.tx, caller, job_id, by_analyst=True)
            if job.state == JobState.FINISHED:
                return
            attempt = released_attempt(step.tx, job)
            step.tx.vectors.delete_sum(attempt.id)
            move_job(step, job, JobEvent.ACKNOWLEDGEMENT)

    # Nodes

    def assignments(self, nodes: Mapping[str, float | None]) -> dict[str, dict[AssignmentKey, Assignment]]:
        """What each of these nodes owes now. See `assignments.assignments`."""
        return assignments(self._context, nodes)

    def consent(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a consent. See `gathering.take_consent` for what it raises."""
        with faults_noted(self._context, caller, job_id), self._context.step() as step:
            gathering.take_consent(step, caller, job_id, token)

    def refuse(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a refusal. See `gathering.take_refusal` for what it raises."""
        with faults_noted(self._context, caller, job_id), self._context.step() as step:
            gathering.take_refusal(step, caller, job_id, token)

    def parameters(self, caller: PartyName, job_id: str, number: int, attempt: int) -> tuple[str, int]:
        """What the chunks of an attempt's parameters are kept under, and how many there are.

        Raises:
            NotFound: ``unknown_job``, or ``parameters_gone``: no node needs them any more.
        """
        with self._context.store.snapshot() as tx:
            return steering.parameters_of(tx, str(caller), job_id, (number, attempt))

    def parameters_chunk(self, upload: str, number: int) -> bytes:
        """One chunk of parameters.

        Raises:
            NotFound: ``parameters_gone``.
        """
        with self._context.store.snapshot() as tx:
            return steering.parameters_chunk(tx, upload, number)

    def begin_upload(self, caller: PartyName, job_id: str, token: str) -> Upload | None:
        """Begin to take a sealed vector; None when it is there already. See `sealing.begin_upload`."""
        with faults_noted(self._context, caller, job_id):
            return sealing.begin_upload(self._context, caller, job_id, token)

    def release(self, caller: PartyName, job_id: str, token: str) -> None:
        """Take a release. See `releasing.take_release` for what it raises."""
        with faults_noted(self._context, caller, job_id), self._context.step() as step:
            releasing.take_release(step, caller, job_id, token)

    def now(self) -> float:
        """The broker's clock, seconds since the epoch."""
        return self._context.clock()

    # The clock, and work that nobody waits for

    def tick(self) -> None:
        """Do what the clock asks for, unless another broker process of this store does."""
        if self._context.store.shared:
            with self._context.store.transaction() as tx:
                if not self._context.leads(tx, _CLOCK):
                    return
        deadlines.tick(self._context)

    def unfolded(self) -> list[str]:
        """Jobs whose sum is not made yet though all vectors are in."""
        with self._context.store.snapshot() as tx:
            attempts = tx.attempts.in_state(AttemptState.COMPLETE)
            unfolded = [attempt.job for attempt in attempts if attempt.folded < attempt.chunks]
            others = tx.brokers.taken_elsewhere(self._context.broker) if unfolded else ()
            return [job_id for job_id in unfolded if job_id not in others]

    def fold_some(self, job_id: str) -> bool:
        """Fold the next chunks of a job's vectors; return whether there are more."""
        return sealing.fold_some(self._context, job_id)

    def note_alive(self) -> None:
        """Write down that this process is alive, and so that it can write.

        Raises:
            Unavailable: ``store_unavailable``: the disk is full, or the database away.
        """
        peers.note_alive(self._context)

    def resume(self) -> None:
        """After a start: forget uploads that were cut off, then do what the clock asks for."""
        peers.enter(self._context)
        self.tick()


def _own(tx: Transaction, caller: PartyName, job_id: str, *, by_analyst: bool = False) -> JobRow:
    """A job of the caller's; an operator may look at any, unless this is for the analyst alone."""
    job = tx.jobs.get(job_id)
    looks = caller.role is Role.OPERATOR and not by_analyst
    if job is None or not (looks or job.analyst == str(caller)):
        raise unknown_job()
    return job
