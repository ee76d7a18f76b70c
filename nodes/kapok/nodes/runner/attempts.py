"""Attempts: under a fixed roster this holder's words are computed, sealed, and on record before they go."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final

from kapok.errors import CohortTooSmall, LocalProtocolError, PeerProtocolError
from kapok.identity.names import PartyName, command_to_ask
from kapok.nodes.runner.admission import ReadSpec, check_deadline
from kapok.nodes.runner.app_jobs import app_of, app_over
from kapok.nodes.runner.context import Context
from kapok.nodes.runner.contribution import contribute
from kapok.nodes.runner.offers import answer_offer
from kapok.nodes.runner.open_jobs import OpenJob, SentSeal
from kapok.nodes.runner.outgoing import Consent, Outgoing, Seal
from kapok.nodes.runner.task import Task, task_of
from kapok.protocols.secure_sum.cohort import check_roster
from kapok.protocols.secure_sum.holder import Attempt
from kapok.wire.messages import OpenAttempt

__all__ = ["answer_attempt"]

_log = logging.getLogger(__name__)
_MOST_ATTEMPTS: Final = 100


def answer_attempt(context: Context, read: ReadSpec, asked: OpenAttempt) -> list[Outgoing]:
    """Check the roster, compute, and seal; or consent with new keys, where those of the roster are lost.

    Raises:
        KapokError: why nothing is sealed.
    """
    job = context.known(read.job_id)
    if job is None:
        # Its keys are gone with a restart, the policy has changed, or it was never consented to: the
        # roster is void here.
        return answer_offer(context, read)
    context.journal.check_running()
    consents = frozenset(asked.consents)
    sent = job.sent
    if sent and (sent.round, sent.attempt, sent.consents) == (asked.round, asked.attempt, consents):
        return [sent.seal]
    if context.journal.released(read.job_id, asked.round):
        return []
    if sent and (sent.round, sent.attempt) > (asked.round, asked.attempt):
        _log.info("an attempt that is over was asked for", extra={"job": read.job_id})
        return []
    check_deadline(read.spec.deadline, context.clock())
    if asked.attempt > _MOST_ATTEMPTS:
        raise PeerProtocolError(
            f"the broker opens more than {_MOST_ATTEMPTS} attempts of one round", code="too_many_attempts"
        )
    try:
        task = task_of(job, asked)
        attempt = _agree(context, job, asked, task)
    except LocalProtocolError as error:
        if error.code == "keys_lost":
            return [Consent(read.job_id, job.holder.consent())]
        raise
    return [_seal(context, job, attempt, task, consents)]


def _agree(context: Context, job: OpenJob, asked: OpenAttempt, task: Task) -> Attempt:
    """Check the roster, and once more what the journal says of the scope now."""
    own = context.statement(job, task.question_key)
    try:
        attempt = job.holder.open(
            round=asked.round,
            attempt=asked.attempt,
            consents=asked.consents,
            params_hash=task.params_hash,
        )
        stated = {one.name: one.cohort for one in attempt.roster.members}
        check_roster(own, attempt.roster.names, stated)
    except CohortTooSmall as error:
        if error.code == "cohort_differs" and len(own.cohorts) == 1:
            organisations = (PartyName.parse(name).organisation for name in own.cohorts[0])
            error.remedy = f"ask exactly those: {command_to_ask(organisations)}; {error.remedy}"
        raise
    return attempt


def _seal(context: Context, job: OpenJob, attempt: Attempt, task: Task, consents: frozenset[str]) -> Seal:
    began = monotonic()
    hosted = app_of(context, job.admitted)
    over = app_over(context, job.admitted, hosted, attempt.context.round, task.parameters)
    words, version = contribute(job.admitted, job.rule, task.parameters, over)
    sealed = job.holder.seal(attempt, words, tag_seed=task.tag_seed, data_version=version)
    context.journal.seal(
        sealed.record,
        in_force=job.decision.in_force,
        question=task.question_key,
        app=0 if hosted is None else hosted.number,
    )
    answer = Seal(job.admitted.job_id, sealed.token, sealed.chunks)
    number = attempt.context.round, attempt.context.attempt
    job.sent = SentSeal(*number, consents, answer)
    context.notes.sealed(job.admitted.job_id, *number, monotonic() - began)
    return answer
