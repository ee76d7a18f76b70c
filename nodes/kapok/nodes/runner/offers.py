"""Offers: a question is counted, judged, and consented to with keys made for it."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Final, assert_never

from kapok.errors import ConsentWithheld, KapokError
from kapok.nodes.journal import JobRecord
from kapok.nodes.policy import roster_rules
from kapok.nodes.runner.admission import JoinedDataset, ReadSpec, check_deadline
from kapok.nodes.runner.judging import check_approved, decide, first_seen, waits_for_officer
from kapok.nodes.runner.office import Office, refused_before
from kapok.nodes.runner.open_jobs import OpenJob
from kapok.nodes.runner.outgoing import Consent, Outgoing
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.holder import Holder

__all__ = ["answer_offer"]

_log = logging.getLogger(__name__)
_S = NodeJobState
_AT_REST: Final = (_S.PENDING, _S.DENIED, _S.REFUSED, _S.CLOSED)


def answer_offer(office: Office, read: ReadSpec) -> list[Outgoing]:
    """Count the try of a question that is new, judge it, and consent; or let it wait for an officer.

    Raises:
        KapokError: why it is refused.
    """
    # Looked up once: a dataset that is joined while this goes on must not be half in this job.
    entry = office.joined.get(read.spec.dataset)
    record = office.journal.job(read.job_id) or _count(office, read, entry)
    if record.state not in _AT_REST:
        office.journal.check_running()
    known = office.known(read.job_id)
    if known is not None and (record.state is _S.RELEASED or known.stated == office.statement(known)):
        return [Consent(read.job_id, known.holder.consent())]
    match record.state:
        case _S.CLOSED:
            return []
        case _S.RELEASED if office.journal.released(read.job_id, read.spec.rounds):
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
            check_deadline(read.spec.deadline, office.clock())
            return []
        case _S.OFFERED | _S.APPROVED | _S.CONSENTED | _S.SEALED | _S.RELEASED:
            return _consent(office, read, record, entry)
        case _ as never:
            assert_never(never)


def _count(office: Office, read: ReadSpec, entry: JoinedDataset | None) -> JobRecord:
    paused: ConsentWithheld | None = None
    try:
        office.journal.check_running()
    except ConsentWithheld as error:
        paused = error
    new = first_seen(read, entry, office.in_force, signer=office.signer, now=office.clock(), paused=paused)
    return office.journal.count_try(new)


def _consent(
    office: Office, read: ReadSpec, record: JobRecord, entry: JoinedDataset | None
) -> list[Outgoing]:
    check_deadline(read.spec.deadline, office.clock())
    in_force = office.in_force
    admitted = office.admit(read, record, entry, in_force)
    decision = decide(admitted, record, in_force, office.journal, office.apps)
    rule = decision.rule
    if record.state is _S.RELEASED:
        check_approved(decision, record)
    if waits_for_officer(decision, record):
        office.journal.defer(read.job_id, specification=read.token, decision=decision)
        office.open.forget(read.job_id)
        office.notes.deferred(read.job_id, again=record.state is not _S.OFFERED)
        return []
    office.open.check_room(read.job_id)
    scope = office.journal.scope(record.asset, record.organisation, admitted.question_key)
    statement = scope.statement(rule.cohort)
    holder = Holder(
        admitted.terms,
        name=office.name,
        signer=office.signer,
        verifier=office.verifier,
        rules=roster_rules(rule, read.spec.computation),
        cohort=statement,
    )
    first = office.journal.consent(read.job_id, specification=read.token, decision=decision, cohort=statement)
    office.open.add(OpenJob(admitted, decision, holder, statement))
    Thread(
        target=_prepare, args=(holder, read.job_id), name=f"prepare-{read.job_id[:8]}", daemon=True
    ).start()
    office.notes.consented(read.job_id, record.asset, again=not first)
    return [Consent(read.job_id, holder.consent())]


def _prepare(holder: Holder, job_id: str) -> None:
    """Make ahead what sealing takes; if it cannot be, sealing itself says why."""
    try:
        holder.prepare()
    except (KapokError, MemoryError):
        _log.warning("not prepared", extra={"job": job_id})
