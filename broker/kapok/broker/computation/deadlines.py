"""What happens by the clock alone. Called now and then, and after a restart; every call may be repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from kapok.broker.computation.cohorts import ask_again, statement_of
from kapok.broker.computation.context import Context, Step
from kapok.broker.computation.endings import expire_sum, fail_job, void_attempt
from kapok.broker.computation.gathering import settle
from kapok.broker.computation.patience import goes_on_without, no_cohort_yet, patience_of
from kapok.broker.computation.scheduling import begin_waiting
from kapok.broker.computation.states import ENDED, LIVE, AttemptState, JobState
from kapok.broker.computation.status import waited_for
from kapok.broker.store.schema import AttemptRow, JobRow
from kapok.errors import NotFound, TimedOut, counted
from kapok.identity.names import PartyName, command_to_ask
from kapok.logs import about
from kapok.protocols.secure_sum.params import LEAST_PARTIES_FLOOR

__all__ = ["tick"]

_MOST_NAMED: Final = 5
# At one tick: many that have grown old together keep nobody waiting, least of all a broker's start.
_MOST_DELETED: Final = 100
_MAY_SHRINK: Final = (JobState.GATHERING, JobState.SEALING)
_WANTED: Final = {
    JobState.GATHERING: "the consent of",
    JobState.SEALING: "the sealed vector of",
    JobState.RELEASING: "the release of",
}


def tick(context: Context) -> None:
    """Fail what is overdue, go on without the silent where fewer will do, delete what is old."""
    now, limits = context.clock(), context.limits
    with context.store.snapshot() as tx:
        live = tx.jobs.timed(LIVE)
        overdue = [job.id for job in live if job.deadline <= now]
        shrinking = [job for job in tx.jobs.in_states(_MAY_SHRINK) if job.at_work and job.deadline > now]
        read = [(job, context.readable(tx, job)) for job in shrinking]
        flexible = [job for job, admitted in read if admitted and not admitted.needs_everyone]
        unfetched = tx.jobs.unchanged_since((JobState.SUMMED,), now - limits.sum_retention_s, _MOST_DELETED)
        old = tx.jobs.unchanged_since(ENDED, now - limits.job_retention_s, _MOST_DELETED)
    sealing = [job.id for job in flexible if job.state == JobState.SEALING]
    for job_ids, act in ((overdue, _run_out), (unfetched, _expire), (sealing, _leave_late), (old, _forget)):
        for job_id in job_ids:
            _once(context, job_id, act)

    # Each organisation once, for each time looks at all its gathering jobs.
    for organisation in sorted({job.organisation for job in flexible}):
        with about(organisation=organisation):
            _guarded(context, organisation, partial(settle, organisation=organisation))
    # Turns are given when a job ends; this is for limits that were raised.
    for analyst in sorted({job.analyst for job in live if not job.at_work}):
        with about(analyst=analyst):
            _guarded(context, analyst, partial(begin_waiting, analyst=analyst))


def _once(context: Context, job_id: str, act: Callable[[Step, JobRow], None]) -> None:
    def act_on_it(step: Step) -> None:
        job = step.tx.jobs.get(job_id)
        if job is not None:
            act(step, job)

    with about(job=job_id):
        _guarded(context, job_id, act_on_it)


def _guarded(context: Context, whose: str, act: Callable[[Step], None]) -> None:
    """One transaction for each: what goes wrong with one does not hold up the others."""
    try:
        with context.step() as step:
            act(step)
    except Exception as error:  # noqa: BLE001 - tried again at the next tick; the others' clocks go on
        context.failing.tell((whose, type(error)), "the clock failed", level=logging.ERROR, error=error)


def _run_out(step: Step, job: JobRow) -> None:
    if job.state in LIVE and job.deadline <= step.now:
        fail_job(step, job, _timed_out(step, job))
        settle(step, job.organisation)


def _expire(step: Step, job: JobRow) -> None:
    if job.state == JobState.SUMMED:
        error = NotFound(
            "nobody fetched the sum in time: it is deleted",
            code="sum_expired",
            remedy="ask again, and fetch the result sooner",
        )
        expire_sum(step, job, error)


def _forget(step: Step, job: JobRow) -> None:
    if job.state in ENDED:
        step.tx.jobs.forget(job.id)


def _leave_late(step: Step, job: JobRow) -> None:
    """Leave behind whoever has not sealed in time, if the others are enough and no cohort says otherwise."""
    attempt = step.tx.attempts.latest(job.id)
    if job.state != JobState.SEALING or attempt is None or attempt.state != AttemptState.OPEN:
        return
    if not goes_on_without(step.tx, job, step.context.admitted(step.tx, job)):
        return
    if late := _late(step, job, attempt):
        step.tx.jobs.leave_behind(job.id, late)
        consents = step.tx.jobs.consents(job.id)
        ask_again(step, job, [node for node in late if node in consents])
        void_attempt(step, job, attempt, party=late[0], code="left_behind")


def _late(step: Step, job: JobRow, attempt: AttemptRow) -> list[str]:
    admitted, grace_s = step.context.admitted(step.tx, job), step.context.limits.seal_grace_s
    oldest = step.now - grace_s
    roster = step.tx.attempts.names(attempt.id)
    # An app may take long: who is connected is at work. Looked at each time, for absence is timed by looking.
    at_work = {node for node in roster if step.context.away_s(node) < grace_s}
    if attempt.opened_at > oldest or not no_cohort_yet(step.tx, job, roster):
        return []
    busy = {row.node for row in step.tx.vectors.uploads(attempt.id) if row.touched_at > oldest}
    there = busy | step.tx.vectors.counted_names(attempt.id)
    if admitted.specification.steered:
        there |= at_work
    late = [node for node in roster if node not in there]
    organisations = {member.node: member.organisation for member in step.tx.jobs.members(job.id)}
    survivors = frozenset(organisations[node] for node in roster if node in there)
    return late if admitted.enough(survivors) else []


def _timed_out(step: Step, job: JobRow) -> TimedOut:
    missing = waited_for(step.tx, job)
    if job.state == JobState.STEERING:
        return TimedOut(
            f"the deadline passed after round {job.round} while the analyst's parameters were waited for",
            code="deadline_passed",
            remedy="ask again, and let `kapok job wait` run until the answer is there",
        )
    if not missing:
        if not job.at_work:
            return TimedOut(
                f"the deadline passed while {counted(step.tx.jobs.ahead(job, LIVE), 'earlier job')} of yours "
                "had their turn: nobody was asked",
                code="deadline_passed",
                remedy="ask fewer questions at a time, or give each more time (--deadline)",
            )
        turn = job.state == JobState.GATHERING
        return TimedOut(
            "the deadline passed while another job of your organisation had first to fix the cohort"
            if turn
            else "the deadline passed while the sum was being made",
            code="deadline_passed",
            remedy="ask again, one job after the other" if turn else "ask again with more time",
        )
    shown = [_shown(step, job, node) for node in missing[:_MOST_NAMED]]
    if len(missing) > _MOST_NAMED:
        shown.append(f"{len(missing) - _MOST_NAMED} more")
    return TimedOut(
        f"the deadline passed while waiting for {_WANTED[JobState(job.state)]} {', '.join(shown)}",
        code="deadline_passed",
        party=missing[0],
        remedy="see that these nodes run and are connected, and ask again; give manual approvals more time"
        + _how_without(step, job, missing)
        + _how_with_fewer(step, job),
    )


def _how_without(step: Step, job: JobRow, missing: Sequence[str]) -> str:
    """How to ask those alone whom earlier answers were of, where all that are missing are not among them."""
    stated = {names for row in step.tx.jobs.consents(job.id).values() for names in statement_of(row).cohorts}
    if job.state != JobState.GATHERING or len(stated) != 1:
        return ""
    [names] = stated
    if not set(names).isdisjoint(missing):
        return ""
    command = command_to_ask(PartyName.parse(name).organisation for name in names)
    return f"; to ask those alone whom earlier answers were of: {command}"


def _how_with_fewer(step: Step, job: JobRow) -> str:
    """What settling for fewer organisations would have changed, or why it did not."""
    admitted, limits = step.context.readable(step.tx, job), step.context.limits
    if admitted is None:
        return ""
    if patience_of(step.tx, job, admitted, limits).cohort_fixed:
        return (
            "; earlier answers to your organisation have fixed which nodes a sum is of, "
            "and --at-least does not change that"
        )
    if admitted.needs_everyone and len(admitted.terms.organisations) > LEAST_PARTIES_FLOOR:
        return (
            f"; or settle for fewer organisations: --at-least N goes on without the silent after "
            f"{limits.consent_grace_s:g} s, if no earlier answer has fixed the nodes"
        )
    return ""


def _shown(step: Step, job: JobRow, node: str) -> str:
    member = step.tx.jobs.member(job.id, node)
    notes = []
    if step.context.absent(node):
        notes.append("not connected")
    if member is not None and member.fault is not None:
        notes.append(f"the last it sent was refused: {member.fault}")
    return f"{node} ({'; '.join(notes)})" if notes else node
