"""Offers: a question is counted, judged, and consented to with keys made for it."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Final, assert_never

from kapok.errors import BudgetExhausted, ConsentWithheld, KapokError
from kapok.nodes.journal import JobRecord
from kapok.nodes.policy import roster_rules
from kapok.nodes.runner.admission import JoinedDataset, ReadSpec, check_deadline
from kapok.nodes.runner.context import Context, refused_before
from kapok.nodes.runner.judging import check_approved, decide, first_seen, waits_for_officer
from kapok.nodes.runner.open_jobs import OpenJob
from kapok.nodes.runner.outgoing import Consent, Outgoing
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.holder import Holder

__all__ = ["answer_offer"]

_log = logging.getLogger(__name__)
_S = NodeJobState
_AT_REST: Final = (_S.PENDING, _S.DENIED, _S.REFUSED, _S.CLOSED)


def answer_offer(context: Context, read: ReadSpec) -> list[Outgoing]:
    """Count the try of a question that is new, judge it, and consent; or let it wait for an officer.

    Raises:
        KapokError: why it is refused.
    """
    # Looked up once: a dataset that is joined while this goes on must not be half in this job.
    entry = context.joined.get(read.spec.dataset)
    record = context.journal.job(read.job_id) or _count(context, read, entry)
    if record.state not in _AT_REST:
        context.journal.check_running()
    known = context.known(read.job_id)
    if known is not None and (record.state is _S.RELEASED or known.stated == context.statement(known)):
        return [Consent(read.job_id, known.holder.consent())]
    match record.state:
        case _S.CLOSED:
            return []
        case _S.RELEASED if context.journal.released(read.job_id, read.spec.rounds):
            return []
        case _S.REFUSED:
            return refused_before(record)
        case _S.DENIED:
            raise ConsentWithheld(
                "the holder's officer denied the question",
                code="approval_denied",
                clause="policy.approval",
                remedy="ask the holder's people why; another question is decided anew",
            )
        case _S.PENDING:
            check_deadline(read.spec.deadline, context.clock())
            return []
        case _S.OFFERED | _S.APPROVED | _S.CONSENTED | _S.SEALED | _S.RELEASED:
            return _consent(context, read, record, entry)
        case _ as never:
            assert_never(never)


def _count(context: Context, read: ReadSpec, entry: JoinedDataset | None) -> JobRecord:
    if context.asked.exceeded(read.caller.organisation_id, context.clock()):
        # Not noted: a journal keeps every question for ever, and this one is not answered whatever it says.
        raise BudgetExhausted(
            f"this node notes {context.asked.most} questions of an organisation in a day",
            code="too_many_questions_in_day",
            remedy="ask again tomorrow",
        )
    paused: ConsentWithheld | None = None
    try:
        context.journal.check_running()
    except ConsentWithheld as error:
        paused = error
    new = first_seen(read, entry, context.in_force, signer=context.signer, now=context.clock(), paused=paused)
    return context.journal.count_try(new)


def _consent(
    context: Context, read: ReadSpec, record: JobRecord, entry: JoinedDataset | None
) -> list[Outgoing]:
    check_deadline(read.spec.deadline, context.clock())
    in_force = context.in_force
    admitted = context.admit(read, record, entry, in_force)
    decision = decide(admitted, record, in_force, context.journal, context.apps)
    rule = decision.rule
    if record.state is _S.RELEASED:
        check_approved(decision, record)
    if waits_for_officer(decision, record):
        context.journal.defer(read.job_id, specification=read.token, decision=decision)
        context.open.forget(read.job_id)
        context.notes.deferred(read.job_id, again=record.state is not _S.OFFERED)
        return []
    context.open.check_room(read.job_id)
    scope = context.journal.scope(record.asset, record.organisation, admitted.question_key)
    statement = scope.statement(rule.cohort)
    holder = Holder(
        admitted.terms,
        name=context.name,
        signer=context.signer,
        verifier=context.verifier,
        rules=roster_rules(rule, read.spec.computation),
        cohort=statement,
    )
    first = context.journal.consent(
        read.job_id, specification=read.token, decision=decision, cohort=statement
    )
    context.open.add(OpenJob(admitted, decision, holder, statement))
    Thread(
        target=_prepare, args=(holder, read.job_id), name=f"prepare-{read.job_id[:8]}", daemon=True
    ).start()
    context.notes.consented(read.job_id, record.asset, again=not first)
    return [Consent(read.job_id, holder.consent())]


def _prepare(holder: Holder, job_id: str) -> None:
    """Make ahead what sealing takes; if it cannot be, sealing itself says why."""
    try:
        holder.prepare()
    except (KapokError, MemoryError):
        _log.warning("not prepared", extra={"job": job_id})
