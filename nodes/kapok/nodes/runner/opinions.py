"""Opinions: what this node would answer to a specification that is shown as an inquiry.

The same checks and the same judgement as for an offer, of the journal as it is now; nothing is written, no
try is counted, no officer is asked. So an opinion tells no more than a refusal would, and costs nothing but
the reading of a question: of those a caller is given so many a minute.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

from kapok.documents.statements import INQUIRY_TYP, OPINION_TYP, OpinionStatement
from kapok.errors import InternalError, KapokError, Unavailable
from kapok.nodes.journal import JobRecord
from kapok.nodes.policy import Rule
from kapok.nodes.runner.admission import JoinedDataset, ReadSpec, check_deadline, read_spec
from kapok.nodes.runner.context import Context
from kapok.nodes.runner.judging import decide
from kapok.nodes.runner.outgoing import Opinion, Outgoing, refusal_statement
from kapok.nodes.runner.pace import Pace
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.messages import encode
from kapok.protocols.secure_sum.params import Signer

__all__ = ["answer_inquiry", "inquiry_pace"]

_log = logging.getLogger(__name__)
_AFTER_ALL: Final = sys.maxsize
_MINUTE_S: Final = 60
_MOST_IN_MINUTE: Final = 30


def inquiry_pace() -> Pace:
    """How many inquiries of each caller are read in a minute."""
    return Pace(_MINUTE_S, _MOST_IN_MINUTE)


def answer_inquiry(context: Context, pace: Pace, token: str) -> list[Outgoing]:
    """Say what an offer of this specification would be answered. Nothing is written or counted."""
    try:
        read = read_spec(token, context.verifier, INQUIRY_TYP)
    except KapokError as error:
        _log.warning("an inquiry was dropped", extra={"code": error.code})
        return []
    try:
        verdict: Rule | KapokError = _would_allow(context, pace, read)
    except KapokError as error:
        verdict = error
    except Exception:  # noqa: BLE001 - an inquiry must not take the daemon with it
        _log.exception("an inquiry failed inside this node")
        verdict = InternalError("the node failed on this inquiry; its own log says where")
    return [_opinion_on(read.job_id, verdict, context.signer)]


def _would_allow(context: Context, pace: Pace, read: ReadSpec) -> Rule:
    entry, now = context.joined.get(read.spec.dataset), context.clock()
    if pace.exceeded(str(read.caller), now):
        raise Unavailable(
            f"this node reads {pace.most} inquiries of an analyst in a minute",
            code="too_many_inquiries",
            remedy="try again in a minute",
        )
    record = _imagined(read, entry, now)
    check_deadline(read.spec.deadline, now)
    context.journal.check_running()
    in_force = context.in_force
    admitted = context.admit(read, record, entry, in_force)
    return decide(admitted, record, in_force, context.journal, context.apps).rule


def _imagined(read: ReadSpec, entry: JoinedDataset | None, now: float) -> JobRecord:
    """The record that the journal would have of an inquiry, had it been asked as a job now."""
    return JobRecord(
        number=_AFTER_ALL,
        job_id=read.job_id,
        analyst=str(read.caller),
        organisation=read.caller.organisation_id,
        dataset=entry.name if entry else "",
        asset=entry.asset if entry else "",
        question="",
        in_words="",
        rule=None,
        specification="",
        deadline=float(read.spec.deadline),
        state=NodeJobState.OFFERED,
        refusal="",
        asked_at=now,
        rule_number=0,
        in_force=0,
        decided_by="",
        decided_at=None,
    )


def _opinion_on(inquiry_id: str, verdict: Rule | KapokError, signer: Signer) -> Opinion:
    """Sign what was found: the rule that would allow it, or the refusal."""
    if isinstance(verdict, KapokError):
        statement = OpinionStatement(inquiry_id, None, refusal_statement(inquiry_id, verdict))
    else:
        statement = OpinionStatement(inquiry_id, verdict.approval, None)
    return Opinion(inquiry_id, signer.sign(OPINION_TYP, encode(statement)))
