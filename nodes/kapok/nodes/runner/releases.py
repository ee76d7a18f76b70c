"""Releases: what opens the pad is handed out for one attempt of a round, once it is on record."""

from __future__ import annotations

import logging

from kapok.errors import PeerProtocolError
from kapok.identity.names import PartyName
from kapok.nodes.policy import roster_rules
from kapok.nodes.runner.admission import read_spec
from kapok.nodes.runner.context import Context, refused_before
from kapok.nodes.runner.judging import check_approved, check_sealed_under, decide
from kapok.nodes.runner.outgoing import Outgoing, Release
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.holder import release
from kapok.protocols.secure_sum.records import ReleaseRecord
from kapok.protocols.secure_sum.roster import check_members
from kapok.wire.messages import Completion

__all__ = ["answer_completion"]

_log = logging.getLogger(__name__)
_S = NodeJobState


def answer_completion(context: Context, asked: Completion) -> list[Outgoing]:
    """Check that the seals are those of the attempt, and release it: one attempt of a round, ever.

    Raises:
        KapokError: why nothing is released.
    """
    record = context.journal.job(asked.job_id)
    if record is None or record.state is _S.CLOSED:
        _log.warning("asked to release a job that is not open here", extra={"job": asked.job_id})
        return []
    context.journal.check_running()
    done = context.journal.released(asked.job_id, asked.round)
    if done and done.attempt == asked.attempt:
        return [Release(asked.job_id, done.token)]
    if record.state is _S.REFUSED:
        return refused_before(record)
    sealed = context.journal.sealed(asked.job_id, asked.round, asked.attempt)
    if sealed is None:
        raise PeerProtocolError(
            "the broker says complete of an attempt that this node has not sealed", code="seal_unknown"
        )
    in_force, read = context.in_force, read_spec(record.specification, context.verifier)
    admitted = context.admit(read, record, context.joined.get(read.spec.dataset), in_force)
    decision = decide(admitted, record, in_force, context.journal, context.apps)
    members = _members(sealed.record)
    check_members(read.caller.organisation_id, members, roster_rules(decision.rule, read.spec.computation))
    check_sealed_under(decision, sealed)
    check_approved(decision, record)
    token = release(sealed.record, asked.seals, signer=context.signer, verifier=context.verifier)
    question = sealed.question or admitted.question_key
    token = context.journal.release(sealed.record, token, decision=decision, question=question)
    context.notes.released(asked.job_id, asked.round, asked.attempt)
    return [Release(asked.job_id, token)]


def _members(sealed: ReleaseRecord) -> list[tuple[str, str, bytes]]:
    return [
        (one.name, PartyName.parse(one.name).organisation_id, one.key_fingerprint) for one in sealed.members
    ]
