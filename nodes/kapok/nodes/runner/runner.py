"""The node's conduct, one assignment at a time. See the package for the exchange.

Refusals depend on specification, schema, policy and journal alone. Nothing is sent before it is on
record: the try before the answer, the seal's record before the seal, the release before the release.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Final, assert_never

from kapok.errors import InternalError, KapokError, Unavailable
from kapok.logs import about, told
from kapok.logs.traces import span
from kapok.nodes.journal import JobRecord
from kapok.nodes.runner.admission import ReadSpec, claimed_id, read_spec, refusable_id
from kapok.nodes.runner.attempts import answer_attempt
from kapok.nodes.runner.context import Context
from kapok.nodes.runner.judging import InForce
from kapok.nodes.runner.offers import answer_offer
from kapok.nodes.runner.opinions import answer_inquiry, inquiry_pace
from kapok.nodes.runner.outgoing import Outgoing, Refusal, refusal_token
from kapok.nodes.runner.releases import answer_completion
from kapok.nodes.runner.reopening import answer_reopening
from kapok.wire.messages import (
    Assignment,
    Closed,
    Completion,
    Idle,
    Inquiry,
    Offer,
    OpenAttempt,
    ReopenCohort,
    RevocationNotice,
)

__all__ = ["Runner"]

_log = logging.getLogger(__name__)
_GRACE_S: Final = 600
_EXPIRE_S: Final = 60


class Runner:
    """A node's answers to its assignments. Threads may call it; one job is worked on by one of them.

    Args:
        context: What every step works with; `put_in_force` replaces its policy.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        context.running.clear()
        self._pace = inquiry_pace()
        self._looked_at = -1
        self._expired_at = -math.inf

    def close(self) -> None:
        """Stop the apps of open jobs; a node that is started again goes on with what they kept."""
        self._context.running.close()

    def put_in_force(self, in_force: InForce) -> None:
        """Judge by another policy from now on.

        As after a restart: what was consented to before is judged anew and consented to with new keys; what
        was sealed before is not released.
        """
        self._context.in_force = in_force

    def handle(self, assignment: Assignment) -> list[Outgoing]:
        """Answer one assignment; the same again gets the same answer.

        Raises:
            Unavailable: the journal cannot be written just now: nothing may be answered, and the same
                assignment is to be handled again.
        """
        answers = self._answers(assignment)
        if answers:
            self._context.journal.keep_up()
        return answers

    def runs_app(self, assignment: Assignment) -> bool:
        """Whether an assignment is of a job that an app works for: an answer may take as long as the app."""
        match assignment:
            case Offer(specification=token) | OpenAttempt(specification=token):
                job_id = claimed_id(token)
            case Completion(job_id=job_id) | Closed(job_id=job_id):
                pass
            case _:
                return False
        job = self._context.open.get(job_id)
        return job is not None and job.admitted.computation.over == "app"

    def _answers(self, assignment: Assignment) -> list[Outgoing]:
        context = self._context
        match assignment:
            case Offer(specification=token):
                return self._guarded("judge", token, partial(answer_offer, context))
            case OpenAttempt(specification=token):
                return self._guarded("seal", token, lambda read: answer_attempt(context, read, assignment))
            case Completion(job_id=job_id):
                return self._guarded_job("release", job_id, lambda: answer_completion(context, assignment))
            case Closed(job_id=job_id):
                return self._guarded_job("close", job_id, lambda: self._close(job_id))
            case Inquiry(token=token):
                return answer_inquiry(context, self._pace, token)
            case ReopenCohort(document):
                return self._reopen(document)
            case RevocationNotice() | Idle():
                return []
            case _ as never:
                assert_never(never)

    def look(self) -> list[Outgoing]:
        """What there is to do once a second, without being asked: what an officer did, jobs that are over.

        Whoever decides something writes to the journal: while its number stays, nobody has.

        Raises:
            Unavailable: as `handle`.
        """
        now = self._context.clock()
        self._forget_keys(now)
        if not self._expired_at <= now < self._expired_at + _EXPIRE_S:
            self.expire()
            self._expired_at = now
        number = self._context.journal.number()
        if number == self._looked_at:
            return []
        self.tell_of_pause()
        answers = self.decided()
        self._looked_at = number
        return answers

    def decided(self) -> list[Outgoing]:
        """Answers to questions that the local officer has decided since.

        Raises:
            Unavailable: as `handle`.
        """
        answers: list[Outgoing] = []
        for record in self._context.journal.decided():
            with about(analyst=record.analyst):
                answers += self._guarded_job("judge", record.job_id, partial(self._decided, record))
        self._context.journal.keep_up()
        return answers

    def tell_of_pause(self) -> None:
        """Say in the log that the holder has paused the node, or resumed it.

        Raises:
            Unavailable: as `handle`.
        """
        self._context.notes.pause(self._context.journal.pause())

    def expire(self) -> None:
        """Forget jobs whose deadline has passed: keys at once, records of seals a little later.

        Raises:
            Unavailable: as `handle`.
        """
        now = self._context.clock()
        self._forget_keys(now)
        self._context.journal.forget_expired(now - _GRACE_S)

    def _forget_keys(self, now: float) -> None:
        for job_id in self._context.open.expired(now):
            with self._context.open.working_on(job_id):
                self._context.open.forget(job_id)

    # --- guards -----------------------------------------------------------------------------------------

    def _guarded(self, what: str, token: str, work: Callable[[ReadSpec], list[Outgoing]]) -> list[Outgoing]:
        try:
            read = read_spec(token, self._context.verifier)
        except KapokError as error:
            job_id = refusable_id(token, error)
            _log.warning("a specification was not taken", extra={"job": job_id, "code": error.code})
            # Whoever can make a token that does not verify must not end a job that this node knows.
            if not job_id or self._context.journal.job(job_id) is not None:
                return []
            return [Refusal(job_id, refusal_token(job_id, error, self._context.signer))]
        told(analyst=str(read.caller))
        record = self._context.journal.job(read.job_id)
        if record is not None and record.analyst != str(read.caller):
            _log.warning("a job came from another analyst than before", extra={"job": read.job_id})
            return []
        return self._guarded_job(what, read.job_id, lambda: work(read))

    def _guarded_job(self, what: str, job_id: str, work: Callable[[], list[Outgoing]]) -> list[Outgoing]:
        """One job's failure is that job's: a refusal goes out, and the daemon goes on."""
        told(job=job_id)
        if (known := self._context.open.get(job_id)) is not None:
            told(analyst=str(known.admitted.read.caller))
        with self._context.open.working_on(job_id):
            try:
                with span(what, job=job_id):
                    return work()
            except KapokError as error:
                if isinstance(error, Unavailable) and error.code == "journal_unavailable":
                    raise
                return self._refuse(job_id, error)
            except Exception:  # noqa: BLE001 - a job must not take the daemon with it
                _log.exception("a job failed inside this node", extra={"job": job_id})
                return self._refuse(
                    job_id, InternalError("the node failed on this job; its own log says where")
                )

    def _refuse(self, job_id: str, error: KapokError) -> list[Outgoing]:
        context = self._context
        token = refusal_token(job_id, error, context.signer)
        if (record := context.journal.job(job_id)) is not None:
            context.open.forget(job_id)
            token = context.journal.refuse(job_id, token, in_force=context.in_force.number)
        context.notes.refused(job_id, error, again=record is not None and bool(record.refusal))
        return [Refusal(job_id, token, error.code)]

    def _reopen(self, text: bytes) -> list[Outgoing]:
        answer = answer_reopening(
            text,
            name=self._context.name,
            assets={dataset_hash: one.asset for dataset_hash, one in self._context.joined.items()},
            verifier=self._context.verifier,
            signer=self._context.signer,
            now=self._context.clock(),
            keep=self._context.journal.reopen,
        )
        return [] if answer is None else [answer]

    def _decided(self, record: JobRecord) -> list[Outgoing]:
        return answer_offer(self._context, read_spec(record.specification, self._context.verifier))

    def _close(self, job_id: str) -> list[Outgoing]:
        self._context.open.forget(job_id)
        self._context.running.end(job_id)
        self._context.journal.close_job(job_id)
        return []
