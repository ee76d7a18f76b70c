"""Consents, refusals, and the opening of attempts.

A node that restarted before the attempt was complete has lost the keys that its consent carried; it
consents again with new ones. That voids the attempt, and the next is opened with the new consent. An older
consent that arrives late never replaces a newer one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from kapok.broker.computation.admitted import AdmittedJob
from kapok.broker.computation.cohorts import (
    ask_again,
    cohort_facts,
    forgotten,
    occupied,
    open_scope,
    out_of_date,
    statement_of,
)
from kapok.broker.computation.context import FIRST_ROUND, Step
from kapok.broker.computation.endings import fail_job, move_job, void_attempt
from kapok.broker.computation.openings import open_attempt
from kapok.broker.computation.patience import answers_of, goes_on_without
from kapok.broker.computation.rosters import GiveUp, OpenWith, Verdict, Wait, choose_roster, same_roster
from kapok.broker.computation.statements import job_for, read_consent, read_refusal
from kapok.broker.computation.states import (
    LIVE,
    AttemptState,
    JobEvent,
    JobState,
)
from kapok.broker.store.jobs import CURRENT, STALE, SUPERSEDED, Given
from kapok.broker.store.schema import AttemptRow, ConsentRow, JobRow, MemberRow
from kapok.errors import KapokError, LocalProtocolError, PeerProtocolError
from kapok.identity.names import PartyName

__all__ = ["reseat", "settle", "take_consent", "take_refusal"]


def take_consent(step: Step, caller: PartyName, job_id: str, token: str) -> None:
    """Keep a node's consent; open an attempt if it was the last that was wanted.

    Raises:
        NotFound: ``unknown_job``.
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``bad_statement``, ``not_the_signer``, ``wrong_job``, ``already_refused``,
            ``too_many_consents``, ``attempt_complete`` or ``job_ended``.
    """
    job, member = job_for(step, caller, job_id)
    payload, statement = read_consent(step, caller, job_id, token)
    digest = hashlib.sha256(payload).hexdigest()
    known = step.tx.jobs.consent(job_id, member.node, digest)
    if known is not None and known.standing != STALE:
        return
    _check_consent_in_time(step, job, member)
    for other in _consents_of(step, job_id, member.node):
        other.standing = SUPERSEDED
    if known is None:
        rule, cohorts = cohort_facts(statement.cohort)
        known = ConsentRow(job=job_id, node=member.node, digest=digest, rule=rule, cohorts=cohorts)
        known.token, known.received_at, known.standing = token, step.now, CURRENT
        step.tx.jobs.add_consent(known)
    known.standing, member.left_behind, member.fault = CURRENT, False, None
    step.touch(job)
    if job.state in (JobState.SEALING, JobState.STEERING) and _void_if_member(
        step, job, member.node, "keys_renewed"
    ):
        settle(step, job.organisation)
    elif job.state == JobState.GATHERING:
        # Nothing has ended: so nothing has changed for the other jobs.
        _settle_job(step, job)


def take_refusal(step: Step, caller: PartyName, job_id: str, token: str) -> None:
    """Keep a node's refusal; end the job, or let the others go on where the analyst settled for fewer.

    Raises:
        NotFound: ``unknown_job``.
        IdentityInvalid: the signature does not hold.
        PeerProtocolError: ``bad_statement``, ``not_the_signer``, ``wrong_job`` or ``already_released``.
    """
    job, member = job_for(step, caller, job_id)
    error = read_refusal(step, caller, job_id, token)
    if member.refusal is not None or job.state not in LIVE:
        return
    attempt = _attempt_of(step, job, member.node)
    if attempt is not None and step.tx.attempts.has_released(attempt.id, member.node):
        raise PeerProtocolError(
            f"{member.node} has released already", code="already_released", party=member.node
        )
    member.refusal = token
    for consent in _consents_of(step, job_id, member.node):
        consent.standing = SUPERSEDED
    step.touch(job)
    match JobState(job.state):
        case JobState.SEALING | JobState.STEERING if attempt is not None and _may_shrink(step, job, attempt):
            _void_if_member(step, job, member.node, error.code)
        case JobState.SEALING | JobState.RELEASING | JobState.STEERING if attempt is not None:
            fail_job(step, job, error)
        case _:
            pass
    settle(step, job.organisation)


def reseat(step: Step, job: JobRow, summed: AttemptRow) -> None:
    """Once a round is summed: begin the next with others, where some have come back meanwhile.

    Only a training does, as `goes_on_without` says; its analyst then seals the parameters for those.
    """
    admitted = step.context.admitted(step.tx, job)
    if not goes_on_without(step.tx, job, admitted, ahead=1):
        return
    verdict = choose_roster(admitted, answers_of(step.tx, job), grace_over=True)
    if isinstance(verdict, OpenWith) and verdict.names != step.tx.attempts.names(summed.id):
        job.round, job.attempts = summed.round + 1, 0
        step.tx.vectors.delete_sum(summed.id)
        _seat(step, job, admitted, dict.fromkeys(verdict.names), step.tx.jobs.consents(job.id))
        step.touch_all(job)


def settle(step: Step, organisation: str) -> None:
    """Decide on the gathering jobs of an organisation, in the order of submission."""
    for job in step.tx.jobs.in_states((JobState.GATHERING,), organisation):
        if step.context.readable(step.tx, job):
            _settle_job(step, job)


def _settle_job(step: Step, job: JobRow) -> None:
    admitted = step.context.admitted(step.tx, job)
    if _waits(step, job, admitted):
        return
    consents = step.tx.jobs.consents(job.id)
    stated = {node: statement_of(given) for node, given in consents.items()}
    match _verdict(step, job, admitted):
        case GiveUp(error):
            fail_job(step, job, error)
        case OpenWith(names):
            lost = forgotten(step, job, names, consents)
            old = () if job.asked_again else {*out_of_date(names, stated), *lost}
            if old:
                job.asked_again = True
                ask_again(step, job, sorted(old))
                return
            if lost:
                fail_job(step, job, _forgetful(lost[0]))
                return
            _open(step, job, admitted, names, consents)
        case Wait():
            pass


def _waits(step: Step, job: JobRow, admitted: AdmittedJob) -> bool:
    """Whether a first round is seen to wait without reading the answers: what almost every answer leads to.

    So the work of a whole gathering grows with its members, and not with their square.
    """
    if job.round > FIRST_ROUND:
        return False
    tally = step.tx.jobs.tally(job.id)
    if not tally.silent or tally.lost:
        return False
    return admitted.needs_everyone or not (tally.bound or _grace_is_over(step, job))


def _grace_is_over(step: Step, job: JobRow) -> bool:
    return step.now >= job.gathering_since + step.context.limits.consent_grace_s


def _verdict(step: Step, job: JobRow, admitted: AdmittedJob) -> Verdict:
    answers = answers_of(step.tx, job)
    if job.round > FIRST_ROUND and not goes_on_without(step.tx, job, admitted):
        released = step.tx.attempts.of_round(job.id, job.round - 1, AttemptState.RELEASED)
        return same_roster(step.tx.attempts.names(released.id), answers)
    return choose_roster(admitted, answers, grace_over=_grace_is_over(step, job))


def _open(
    step: Step,
    job: JobRow,
    admitted: AdmittedJob,
    names: tuple[str, ...],
    consents: Mapping[str, Given],
) -> None:
    """Open the next attempt with this roster, unless another has first to fix a cohort.

    In a later round that was done by the first. Where the round has parameters, the analyst has to seal them
    for the roster's keys.
    """
    scopes: dict[str, str | None] = dict.fromkeys(names)
    if job.round == FIRST_ROUND:
        scopes = {name: open_scope(admitted, name, statement_of(consents[name])) for name in names}
    if occupied(step, {scope for scope in scopes.values() if scope is not None}):
        return
    if job.attempts >= step.context.limits.attempts_max:
        fail_job(step, job, _too_many_attempts(job))
        return
    if _seat(step, job, admitted, scopes, consents):
        steered = admitted.specification.has_parameters(job.round)
        move_job(step, job, JobEvent.CONSULTATION if steered else JobEvent.OPENING)


def _seat(
    step: Step,
    job: JobRow,
    admitted: AdmittedJob,
    scopes: Mapping[str, str | None],
    consents: Mapping[str, Given],
) -> bool:
    """Begin an attempt with the nodes of these scopes; a roster that cannot be ends the job."""
    try:
        step.context.roster(admitted, [consents[name].token for name in scopes])
    except KapokError as error:
        fail_job(step, job, error)
        return False
    job.attempts += 1
    open_attempt(step, job, [(name, consents[name].token, scope) for name, scope in scopes.items()])
    # Whoever has not answered by now is not waited for again if this attempt should be voided.
    step.tx.jobs.leave_behind(job.id, set(admitted.specification.members) - consents.keys())
    return True


def _may_shrink(step: Step, job: JobRow, attempt: AttemptRow) -> bool:
    """Whether a round goes on without one of its roster: nothing of it is released yet."""
    return attempt.state == AttemptState.OPEN and goes_on_without(
        step.tx, job, step.context.admitted(step.tx, job)
    )


def _void_if_member(step: Step, job: JobRow, node: str, code: str) -> bool:
    """Void the open attempt if the node is in its roster; return whether it was."""
    attempt = _attempt_of(step, job, node, AttemptState.OPEN)
    if attempt is not None:
        void_attempt(step, job, attempt, party=node, code=code)
    return attempt is not None


def _attempt_of(step: Step, job: JobRow, node: str, state: AttemptState | None = None) -> AttemptRow | None:
    """The job's newest attempt, if the node is in its roster and it is in this state: any, but not voided."""
    attempt = step.tx.attempts.latest(job.id)
    if attempt is None or attempt.state == AttemptState.VOIDED or state not in (None, attempt.state):
        return None
    return attempt if step.tx.attempts.seats(attempt.id, node) else None


def _consents_of(step: Step, job_id: str, node: str) -> Sequence[ConsentRow]:
    return [row for row in step.tx.jobs.all_consents(job_id, node) if row.standing != SUPERSEDED]


def _check_consent_in_time(step: Step, job: JobRow, member: MemberRow) -> None:
    match JobState(job.state):
        case JobState.GATHERING | JobState.SEALING:
            pass
        case JobState.RELEASING | JobState.STEERING if _comes_back(step, job, member):
            pass
        case JobState.STEERING if _attempt_of(step, job, member.node, AttemptState.OPEN) is not None:
            pass
        case JobState.RELEASING | JobState.STEERING:
            raise PeerProtocolError(
                "all sealed vectors are in: this attempt can only be finished",
                code="attempt_complete",
                party=member.node,
            )
        case _:
            raise PeerProtocolError("the job has ended", code="job_ended", party=member.node)
    if member.refusal is not None:
        raise PeerProtocolError(
            f"{member.node} has refused this job", code="already_refused", party=member.node
        )
    given = len(step.tx.jobs.all_consents(job.id, member.node))
    if given > step.context.limits.attempts_max:
        raise PeerProtocolError(
            f"{member.node} has come with new keys {given} times",
            code="too_many_consents",
            party=member.node,
        )


def _comes_back(step: Step, job: JobRow, member: MemberRow) -> bool:
    """Whether a node is one that a training went on without: it takes part again from the next round on."""
    return member.left_behind and goes_on_without(step.tx, job, step.context.admitted(step.tx, job), ahead=1)


def _forgetful(node: str) -> KapokError:
    return PeerProtocolError(
        f"{node} does not state a cohort that it has released for, which is not this job's set of nodes: "
        "its journal seems to have been restored from a copy",
        code="release_forgotten",
        party=node,
        remedy="let its holder bring the newest journal back; or ask with exactly the nodes of the earlier "
        "answers; or let officers of all of them reopen the cohort: `kapok cohort propose`",
    )


def _too_many_attempts(job: JobRow) -> KapokError:
    return LocalProtocolError(
        f"{job.attempts} attempts were opened and none could be finished",
        code="too_many_attempts",
        remedy="see why nodes restart, and ask again",
    )
