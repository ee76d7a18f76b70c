"""What the policy in force says of a job: from specification, schema, policy and journal; never from data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kapok.errors import ConsentWithheld, Refused
from kapok.nodes.apps.approval import norm_objection
from kapok.nodes.apps.host import AppHost, AppQuestion, HostedApp
from kapok.nodes.journal import Decision, JobRecord, Journal, NewJob, StoredSeal
from kapok.nodes.journal.apps import approval_ended
from kapok.nodes.journal.reading import policy_changed
from kapok.nodes.policy import Policy, closed, judge, rule_for
from kapok.nodes.runner.admission import AdmittedJob, JoinedDataset, ReadSpec, noted_question
from kapok.nodes.runner.outgoing import refusal_token
from kapok.nodes.states import NodeJobState
from kapok.protocols.secure_sum.params import Signer

__all__ = [
    "InForce",
    "approved_for",
    "check_approved",
    "check_has_rule",
    "check_sealed_under",
    "decide",
    "first_seen",
    "waits_for_officer",
]

_LAST_SECOND: Final = 2**53


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy, and the number under which the journal has its text: what every decision refers to."""

    policy: Policy
    number: int


def first_seen(
    read: ReadSpec,
    entry: JoinedDataset | None,
    in_force: InForce,
    *,
    signer: Signer,
    now: float,
    paused: Refused | None,
) -> NewJob:
    """A job as the journal notes it before anything is judged.

    Args:
        read: The signed specification.
        entry: The dataset that it is about, if it is joined here.
        in_force: The policy.
        signer: Signs a refusal.
        now: Seconds since the epoch.
        paused: Why nothing goes on here; None while the node answers.
    """
    rule = None if entry is None else rule_for(read.caller, entry.name, in_force.policy)
    allowed = None if isinstance(rule, Refused) else rule
    shut = paused or (closed(allowed, in_force.policy, now) if allowed else None)
    question, in_words = noted_question(read.spec, entry, read_it=allowed is not None)
    return NewJob(
        job_id=read.job_id,
        analyst=str(read.caller),
        organisation=read.caller.organisation_id,
        dataset=entry.name if entry else "",
        asset=entry.asset if entry else "",
        question=question,
        in_words=in_words,
        deadline=float(min(max(read.spec.deadline, 0), _LAST_SECOND)),
        rule_number=allowed.number if allowed else 0,
        in_force=in_force.number,
        refusal=refusal_token(read.job_id, shut, signer) if shut else "",
    )


def check_has_rule(read: ReadSpec, entry: JoinedDataset, in_force: InForce) -> None:
    """Refuse whoever the policy has no rule for, before the question is parsed.

    Raises:
        NotAuthorised: ``not_authorised``.
    """
    found = rule_for(read.caller, entry.name, in_force.policy)
    if isinstance(found, Refused):
        raise found


def decide(
    admitted: AdmittedJob, record: JobRecord, in_force: InForce, journal: Journal, apps: AppHost
) -> Decision:
    """The rule by which a job is answered. Where it runs an app, that must be approved as well.

    Raises:
        Refused: what `kapok.nodes.policy.judge` returns, and `AppHost.approved` raises.
    """
    verdict = judge(
        admitted.read.spec,
        admitted.question,
        admitted.read.caller,
        dataset=admitted.joined.name,
        policy=in_force.policy,
        history=journal.history(record, in_force.policy.day_of(record.asked_at)),
        asked_at=record.asked_at,
    )
    if isinstance(verdict, Refused):
        raise verdict
    if isinstance(admitted.question, AppQuestion):
        clause = f"policy.rule[{verdict.number}]"
        if refusal := norm_objection(admitted.question.clip_norm, verdict.rule.clip_norm, clause):
            raise refusal
        hosted = approved_for(admitted, admitted.question, in_force, journal, apps)
        return Decision(verdict.rule, verdict.number, in_force.number, hosted.number)
    return Decision(verdict.rule, verdict.number, in_force.number)


def approved_for(
    admitted: AdmittedJob, question: AppQuestion, in_force: InForce, journal: Journal, apps: AppHost
) -> HostedApp:
    """The app that a job runs, by the approvals that hold now.

    Raises:
        ConsentWithheld: what `AppHost.approved` raises.
    """
    return apps.approved(
        question,
        admitted.read.caller,
        dataset=admitted.joined.name,
        policy=in_force.policy.app,
        by_hand=journal.app_approvals(),
    )


def waits_for_officer(decision: Decision, record: JobRecord) -> bool:
    """Whether the rule asks for an officer's approval that the job has not, wherever the job is."""
    approved = record.state is NodeJobState.APPROVED or bool(record.decided_by)
    return decision.rule.approval == "manual" and not approved


def check_approved(decision: Decision, record: JobRecord) -> None:
    """Refuse what nobody has approved where it can wait no more: it has released, or is about to.

    Raises:
        ConsentWithheld: ``approval_missing``.
    """
    if waits_for_officer(decision, record):
        raise ConsentWithheld(
            "the holder's policy has come to ask for an officer's approval, and the job began without it",
            code="approval_missing",
            clause=f"policy.rule[{decision.rule_number}]",
            remedy="ask the question again, as a new job: it waits for the holder's officer",
        )


def check_sealed_under(decision: Decision, sealed: StoredSeal) -> None:
    """Refuse to release what was sealed under another policy, or what an app made by another approval.

    It was suppressed by that policy's least cells, and cut to the ranges that that approval names.

    Raises:
        ConsentWithheld: ``policy_changed``; ``app_not_approved``.
    """
    if sealed.in_force != decision.in_force:
        raise policy_changed(decision)
    if sealed.app != decision.app:
        raise approval_ended()
