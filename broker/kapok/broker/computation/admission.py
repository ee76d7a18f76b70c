"""What the broker itself asks of a specification, so that a job that cannot work is answered at once.

Nodes judge for themselves and trust none of this. Every answer depends on specification and catalogue alone.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from kapok.broker.computation.admitted import AdmittedJob, read_admitted
from kapok.broker.computation.context import Context, Move, Step
from kapok.broker.computation.scheduling import may_begin
from kapok.broker.computation.states import ENDED, FIRST_JOB_STATE, JobState
from kapok.broker.store.schema import JobRow, MemberRow
from kapok.documents.envelope import document_id
from kapok.documents.statements import JOB_TYP, NONCE_BYTES, JobSpec
from kapok.errors import CohortTooSmall, InvalidInput, NotAuthorised, NotFound, Unavailable, counted
from kapok.identity.names import PartyName, Role
from kapok.logs import told
from kapok.protocols.secure_sum.aggregator import vector_bytes
from kapok.protocols.secure_sum.params import LEAST_PARTIES_FLOOR, SUITE
from kapok.protocols.secure_sum.vector import check_result_key

__all__ = ["admit"]

_COMPUTATION: Final = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_DATASET: Final = re.compile(r"[0-9a-f]{64}\Z")
_MOST_SEED_BYTES: Final = 4096
_AGAIN_S: Final = 2.0
_FORGOTTEN_AT_ONCE: Final = 20
_MOST_FORGOTTEN: Final = 100
_UNFINISHED: Final = frozenset(JobState) - ENDED


def admit(step: Step, caller: PartyName, token: str) -> str:
    """Take on a signed specification; return the job's id. A job that is known already is left as it is.

    Raises:
        IdentityInvalid: the signature does not hold.
        NotAuthorised: ``not_the_signer`` or ``wrong_role``.
        PeerProtocolError: ``bad_statement``.
        InvalidInput: a field cannot be used; `clause` names it.
        NotFound: ``unknown_dataset`` or ``not_joined``.
        CohortTooSmall: ``too_few_organisations``.
        Unavailable: ``too_many_jobs`` of this analyst or organisation are open.
    """
    signed = step.context.verifier.verify(JOB_TYP, token)
    if signed.signer.name != str(caller):
        raise NotAuthorised(
            f"the specification is signed by {signed.signer.name}, not by you",
            code="not_the_signer",
            party=signed.signer.name,
            remedy="sign it with the key with which you connect",
        )
    if caller.role is not Role.ANALYST:
        raise NotAuthorised(
            f"a {caller.role} cannot submit jobs",
            code="wrong_role",
            party=str(caller),
            remedy="ask with the identity of an analyst",
        )
    job_id = document_id(signed.payload)
    told(job=job_id)
    known = step.tx.jobs.get(job_id)
    if known is not None:
        if known.analyst != str(caller):
            raise _bad("somebody else has submitted this very specification", "nonce", "duplicate_job")
        return job_id
    admitted = _judge(step, job_id, caller, signed.payload)
    _keep(step, admitted, token, signed.payload)
    return job_id


def _judge(step: Step, job_id: str, caller: PartyName, payload: bytes) -> AdmittedJob:
    admitted = read_admitted(job_id, caller, payload)
    specification = admitted.specification
    specification.check_signer(str(caller))
    _check_question(step.context, specification)
    _check_members(admitted)
    _check_keys(admitted)
    _check_deadline(step, admitted)
    _check_dataset(step, specification)
    size = vector_bytes(admitted.terms, len(specification.members))
    if size > step.context.limits.vector_bytes_max:
        raise _bad(
            f"each node would have to send {size} bytes, more than this broker takes",
            "words",
            "vector_too_large",
            "ask for fewer groups or columns at a time",
        )
    _check_room(step, caller)
    return admitted


def _check_room(step: Step, caller: PartyName) -> None:
    """Refuse one job too many, of the analyst or its organisation: there is room when others have ended."""
    limits, jobs = step.context.limits, step.tx.jobs
    own = jobs.count(_UNFINISHED, analyst=str(caller))
    if own >= limits.analyst_jobs_max:
        raise _too_many("you have", own, "limits.analyst_jobs_max")
    of_all = jobs.count(_UNFINISHED, organisation=caller.organisation_id)
    if of_all >= limits.open_jobs_max:
        raise _too_many("your organisation has", of_all, "limits.open_jobs_max")


def _too_many(who: str, open_jobs: int, clause: str) -> Unavailable:
    return Unavailable(
        f"{who} {counted(open_jobs, 'open job')}, and this broker takes no more",
        code="too_many_jobs",
        clause=clause,
        remedy="wait for some of them, fetch their results, or cancel them",
        retry_after_s=_AGAIN_S,
    )


def _keep(step: Step, admitted: AdmittedJob, token: str, payload: bytes) -> None:
    row = JobRow(
        id=admitted.job_id,
        analyst=str(admitted.analyst),
        organisation=admitted.analyst.organisation_id,
        state=FIRST_JOB_STATE,
        submitted_at=step.now,
        changed_at=step.now,
        gathering_since=step.now,
        deadline=float(admitted.specification.deadline),
        dataset=admitted.specification.dataset,
        at_work=may_begin(step, str(admitted.analyst)),
    )
    members = [
        MemberRow(job=row.id, node=party.name, organisation=party.organisation)
        for party in admitted.terms.members
    ]
    step.tx.jobs.add(row, members, specification=token, payload=payload)
    step.moves.append(Move(None, FIRST_JOB_STATE, 0.0, 0.0))
    if row.at_work:
        step.touch_all(row)
    told = {
        "job": row.id,
        "analyst": row.analyst,
        "dataset": row.dataset,
        "members": len(members),
        "at_least": admitted.terms.at_least,
        "at_work": row.at_work,
    }
    step.log(logging.INFO, "job submission", told)
    _forget_spare(step, row.organisation)


def _forget_spare(step: Step, organisation: str) -> None:
    """Let old jobs of an organisation go that are on record beyond its bound: a few at a time."""
    jobs = step.tx.jobs
    spare = jobs.count(frozenset(JobState), organisation=organisation) - step.context.limits.kept_jobs_max
    if spare >= _FORGOTTEN_AT_ONCE:
        for job_id in jobs.spare(ENDED, organisation, min(spare, _MOST_FORGOTTEN)):
            jobs.forget(job_id)


def _check_question(context: Context, specification: JobSpec) -> None:
    if specification.suite != SUITE:
        raise _bad(
            f"protocol suite {specification.suite[:64]!r} is not known here",
            "suite",
            "unknown_suite",
            f"this broker speaks {SUITE}: bring both sides to the same version",
        )
    if not _COMPUTATION.match(specification.computation):
        raise _bad("a computation's name is 1 to 63 of a-z 0-9 -", "computation")
    if len(specification.question.encode()) > context.limits.question_bytes_max:
        raise _bad(
            f"the question is longer than {context.limits.question_bytes_max} bytes",
            "question",
            "question_too_long",
        )
    if not 1 <= specification.rounds <= context.limits.rounds_max:
        raise _bad(
            f"a job has 1 to {context.limits.rounds_max} rounds here",
            "rounds",
            "too_many_rounds",
            "ask for less at once",
        )
    if len(specification.nonce) != NONCE_BYTES:
        raise _bad(f"a nonce is {NONCE_BYTES} bytes", "nonce")


def _check_members(admitted: AdmittedJob) -> None:
    members = admitted.specification.members
    if list(members) != sorted(set(members), key=str.encode):
        raise _bad("the members are not sorted by name, or one is named twice", "members")
    for name in members:
        if PartyName.parse(name).role is not Role.NODE:
            raise _bad(f"{name} is no node", "members")
    own = admitted.terms.receiver_organisation
    others = admitted.terms.organisations - {own}
    if len(others) < LEAST_PARTIES_FLOOR or admitted.terms.at_least < LEAST_PARTIES_FLOOR:
        raise CohortTooSmall(
            f"a sum needs {LEAST_PARTIES_FLOOR} organisations besides your own; "
            f"{len(others)} are named, and {admitted.terms.at_least} would do",
            code="too_few_organisations",
            clause="specification.members" if len(others) < LEAST_PARTIES_FLOOR else "specification.at_least",
            remedy="ask more organisations",
        )


def _check_keys(admitted: AdmittedJob) -> None:
    specification = admitted.specification
    check_result_key(admitted.terms)
    if specification.tag_seeds.keys() != set(specification.members):
        raise _bad("there is not exactly one tag seed for each member", "tag_seeds")
    if any(not 0 < len(seed) <= _MOST_SEED_BYTES for seed in specification.tag_seeds.values()):
        raise _bad(f"a wrapped tag seed has 1 to {_MOST_SEED_BYTES} bytes", "tag_seeds")


def _check_deadline(step: Step, admitted: AdmittedJob) -> None:
    deadline, grace_s = admitted.specification.deadline, step.context.limits.consent_grace_s
    latest = step.now + step.context.limits.deadline_s_max
    if not step.now < deadline <= latest:
        late = deadline <= step.now
        raise _bad(
            "the deadline has passed already by the broker's clock"
            if late
            else "the deadline is too far away",
            "deadline",
            "bad_deadline",
            f"give 1 to {step.context.limits.deadline_s_max} seconds, and see that your clock is right",
        )
    if not admitted.needs_everyone and deadline <= step.now + grace_s:
        raise _bad(
            f"the job would go on with {admitted.terms.at_least} organisations only after {grace_s:g} s, "
            "and its deadline is sooner",
            "deadline",
            "bad_deadline",
            f"give more than {grace_s:g} seconds (--deadline), or ask all of them without --at-least",
        )


def _check_dataset(step: Step, specification: JobSpec) -> None:
    known = _DATASET.match(specification.dataset) and step.tx.catalogue.dataset(specification.dataset)
    if not known:
        raise NotFound(
            "the broker does not know the dataset that the specification names",
            code="unknown_dataset",
            clause="specification.dataset",
            remedy="publish it first, or see `kapok dataset list`",
        )
    joined = step.tx.catalogue.joined(specification.dataset)
    for name in specification.members:
        if name not in joined:
            raise NotFound(
                f"{name} has not joined the dataset",
                code="not_joined",
                clause="specification.members",
                party=name,
                remedy="ask those who have (`kapok dataset show NAME`), or let it join",
            )


def _bad(
    message: str, field: str, code: str = "bad_specification", remedy: str | None = None
) -> InvalidInput:
    return InvalidInput(message, code=code, clause=f"specification.{field}", remedy=remedy)
