"""Whose turn it is while a cohort is not fixed.

A node's first release to an analyst's organisation fixes its cohort for good (see
`kapok.protocols.secure_sum.cohort`). Two first jobs at once, over different rosters, would both gather and
seal, and then one of them would die at its release. So while a node has no cohort in a *scope* (the node
and the analyst's organisation; under ``same-question`` the question too), the broker opens one attempt at a
time in it. Others wait in ``gathering``, in the order of submission; when the attempt has ended and may
have released, they are asked again, because what they state about cohorts is out of date.

This is for the sake of progress. Nobody's secrecy rests on it: each node checks consents and journal by
itself.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Collection, Mapping

import msgspec

from kapok.broker.computation.admitted import AdmittedJob
from kapok.broker.computation.context import Step
from kapok.broker.computation.states import AttemptState, JobState
from kapok.broker.store.jobs import Given
from kapok.broker.store.schema import AttemptRow, JobRow
from kapok.documents.envelope import decode
from kapok.protocols.secure_sum.cohort import CohortStatement
from kapok.protocols.secure_sum.messages import ConsentStatement

__all__ = [
    "ask_again",
    "ask_neighbours_again",
    "cohort_facts",
    "forgotten",
    "occupied",
    "open_scope",
    "out_of_date",
    "statement_of",
]

_HELD = (AttemptState.OPEN, AttemptState.COMPLETE)


def cohort_facts(statement: CohortStatement) -> tuple[str, str]:
    """A consent's cohort statement as the store keeps it: rule, and cohorts as JSON."""
    return statement.rule, msgspec.json.encode(statement.cohorts).decode()


def statement_of(given: Given) -> CohortStatement:
    """What a stored consent states."""
    return _statement(given.rule, given.cohorts)


@functools.lru_cache(maxsize=64)
def _statement(rule: str, cohorts: str) -> CohortStatement:
    """Read once for all members of a job: most state the same."""
    read = msgspec.json.decode(cohorts.encode(), type=tuple[tuple[str, ...], ...])
    return msgspec.convert({"rule": rule, "cohorts": read}, CohortStatement)


def open_scope(job: AdmittedJob, node: str, statement: CohortStatement) -> str | None:
    """The scope in which a node has no cohort yet, as a digest; None where it has or needs none."""
    if statement.rule == "free" or statement.cohorts:
        return None
    question = job.params_hash.hex() if statement.rule == "same-question" else ""
    return hashlib.sha256("\n".join((node, job.terms.receiver_organisation, question)).encode()).hexdigest()


def occupied(step: Step, scopes: set[str]) -> bool:
    """Whether an attempt that has not ended holds one of these scopes."""
    return step.tx.attempts.occupied(scopes, _HELD)


def out_of_date(names: tuple[str, ...], stated: Mapping[str, CohortStatement]) -> tuple[str, ...]:
    """The members of a roster whose statements the others' show to be old, if asking them again can help.

    Statements that leave the roster possible are never asked for again: a member that has released nothing
    yet may join those whose cohort is this very roster.
    """
    known = {cohort for statement in stated.values() for cohort in statement.cohorts}
    if known <= {names}:
        return ()
    return tuple(
        name for name in names if stated[name].rule == "fixed" and set(stated[name].cohorts) != known
    )


def forgotten(step: Step, job: JobRow, names: tuple[str, ...], consents: Mapping[str, Given]) -> list[str]:
    """The members of a roster who are bound to another one, by their own signed release, and do not state it.

    Either the statement is older than the release, and asking again helps; or the node's journal was restored
    from a copy, with the mirror by which the node itself would have noticed. Where the roster is the one that
    binds them no harm is done.
    """
    last = step.tx.attempts.last_released(job.dataset, job.organisation, names)
    rosters = {attempt: step.tx.attempts.names(attempt) for attempt in {place for place, _ in last.values()}}
    found = []
    for name in [name for name in names if name in last]:
        attempt, consent = last[name]
        now, then = _stated(consents[name].token), _stated(consent)
        bound = now.rule == "fixed" and now.reopening == then.reopening
        if bound and rosters[attempt] not in (names, *now.cohorts):
            found.append(name)
    return found


def _stated(consent: str) -> CohortStatement:
    """All that a consent states about cohorts; it was verified when it came."""
    _, payload, _ = consent.split(".")
    raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return decode(ConsentStatement, raw).cohort


def ask_again(step: Step, job: JobRow, nodes: Collection[str]) -> None:
    """Drop the consents of these nodes and offer them the job once more. Their time begins anew."""
    if nodes:
        step.tx.jobs.drop_consents(job.id, nodes)
        job.gathering_since = step.now
        step.touch(job, nodes)


def ask_neighbours_again(step: Step, job: JobRow, attempt: AttemptRow) -> None:
    """After an attempt of which releases may be out: whoever waits for its scopes states anew."""
    scopes = {seat.scope for seat in step.tx.attempts.roster(attempt.id)} - {None}
    if not scopes:
        return
    for neighbour in step.tx.jobs.neighbours(job, (JobState.GATHERING,)):
        admitted = step.context.readable(step.tx, neighbour)
        if admitted is None:
            continue
        consents = step.tx.jobs.consents(neighbour.id).values()
        stale = [one.node for one in consents if open_scope(admitted, one.node, statement_of(one)) in scopes]
        ask_again(step, neighbour, stale)
