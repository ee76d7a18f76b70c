"""Rows of the journal as records."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from kapok.errors import ConsentWithheld, Unavailable
from kapok.nodes.journal import queries, tables
from kapok.nodes.journal.records import Decision, JobRecord, Pause, Scope
from kapok.nodes.policy import Rule
from kapok.nodes.states import NodeJobState
from kapok.persistence import Connection, Prepared
from kapok.protocols.secure_sum.cohort import CohortRule, PastRelease, Reopened, rule_in_force

__all__ = [
    "asked_before",
    "find_job",
    "holder_paused",
    "job_record",
    "pause_of",
    "pause_record",
    "plain_errors",
    "policy_changed",
    "refuse_if_paused",
    "refuse_if_replaced",
    "scope_of",
    "tries_so_far",
]

_AFTER_ALL: Final = sys.maxsize


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Say in plain words that the database cannot be used."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable(
            f"the node's journal cannot be used just now ({type(error).__name__})",
            code="journal_unavailable",
            remedy="see that the disk is not full and that no other program has the journal locked",
        ) from None


def asked_before(job: JobRecord) -> sa.ColumnElement[bool]:
    """What the job's organisation asked of the asset before it, or while nothing was joined here.

    Jobs are numbered in the order of asking, one transaction for each: of two that come at once one is before
    the other, and no two count the same tries.
    """
    table = tables.job
    return (
        table.c.asset.in_((job.asset, ""))
        & (table.c.organisation == job.organisation)
        & (table.c.number < job.number)
    )


def tries_so_far(
    connection: Connection, asset: str, organisation: str, *, before: int = _AFTER_ALL, day: float = 0.0
) -> tuple[int, int]:
    """How many tries of an asset an organisation has had, by the running count in the rows.

    Args:
        connection: To the journal.
        asset: The table's name; empty for what came while its dataset was not joined here.
        organisation: In full.
        before: Number of the job that they came before.
        day: A moment.

    Returns:
        How many ever, and how many after the first that came at that moment or later, that one included.
    """
    here = {"asset": asset, "organisation": organisation}
    last = int(connection.value(queries.LAST_TRY, here | {"before": before}) or 0)
    if not last or day <= 0:
        return last, last
    first = connection.row(queries.FIRST_TRY_SINCE, here | {"since": day})
    return last, 0 if first is None or first.number >= before else max(last - int(first.tries), 0)


def find_job(connection: Connection, job_id: str) -> JobRecord | None:
    """The job of that id."""
    row = connection.row(queries.JOB, {"of_job": job_id})
    return None if row is None else job_record(row)


def job_record(row: Any) -> JobRecord:
    """A row of the table `job`."""
    return JobRecord(
        number=row.number,
        job_id=row.job_id,
        analyst=row.analyst,
        organisation=row.organisation,
        dataset=row.dataset,
        asset=row.asset,
        question=row.question,
        in_words=row.in_words,
        rule=msgspec.json.decode(row.rule, type=Rule) if row.rule else None,
        specification=row.specification,
        deadline=row.deadline,
        state=NodeJobState(row.state),
        refusal=row.refusal,
        asked_at=row.asked_at,
        rule_number=row.rule_number,
        in_force=row.in_force,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
    )


def scope_of(
    connection: Connection,
    asset: str,
    organisation: str,
    question: bytes | None = None,
    job_id: str = "",
) -> Scope:
    """What binds a scope; no more rows are read than there are sets of names.

    Args:
        connection: To the journal.
        asset: The table's name.
        organisation: The receiver's, in full.
        question: Stands for a question: also what was released for it.
        job_id: Of a job: also all of its own releases, in whatever scope.
    """
    reopened = _last_reopening(connection, asset, organisation)
    scope = {"asset": asset, "organisation": organisation}
    current = scope | {"reopening": b"" if reopened is None else reopened.id}
    rows = list(_first_of_each(connection, queries.NEXT_COHORT, "names", current))
    if question is not None:
        of_question = current | {"question": question}
        rows += _first_of_each(connection, queries.NEXT_COHORT_OF_QUESTION, "names", of_question)
    if job_id:
        rows += connection.rows(queries.RELEASES_OF_JOB, {"of_job": job_id})
    fixed_with: CohortRule | None = None
    for row in (*rows, *_first_of_each(connection, queries.NEXT_RULE, "rule", scope)):
        fixed_with = rule_in_force(msgspec.convert(row.rule, type=CohortRule), fixed_with)
    return Scope(
        tuple(_past_release(row) for row in sorted(rows, key=lambda row: float(row.released_at))),
        fixed_with,
        reopened,
        question,
    )


def _first_of_each(
    connection: Connection, following: Prepared, column: str, where: Mapping[str, object]
) -> Iterator[Any]:
    """One release for each value of a column, by skipping from value to value in the index."""
    beyond = ""
    while row := connection.row(following, {**where, "beyond": beyond}):
        yield row
        beyond = getattr(row, column)


def _past_release(row: Any) -> PastRelease:
    return PastRelease(
        job_id=bytes.fromhex(row.job_id),
        round=row.round,
        attempt=row.attempt,
        roster_hash=row.roster,
        names=msgspec.json.decode(row.names, type=tuple[str, ...]),
        params_hash=row.question,
        reopening=row.reopening,
    )


def pause_of(connection: Connection) -> Pause | None:
    """The pause that is on; None while the node answers."""
    row = connection.row(queries.PAUSE)
    return None if row is None else pause_record(row)


def pause_record(row: Any) -> Pause:
    """A row of the table `pause`."""
    return Pause(row.reason, row.paused_at, row.paused_by, row.resumed_at, row.resumed_by)


def refuse_if_paused(connection: Connection) -> None:
    """Let nothing go on while the holder has paused the node.

    Raises:
        ConsentWithheld: ``holder_paused``. The reason is the holder's own, and is not in it.
    """
    if pause_of(connection) is not None:
        raise holder_paused()


def holder_paused() -> ConsentWithheld:
    """What others are told of a pause."""
    return ConsentWithheld(
        "the holder has paused this node: it takes part in nothing until it is resumed",
        code="holder_paused",
        clause="node.pause",
        remedy="ask again later, as a new job; its holder knows when",
    )


def refuse_if_replaced(connection: Connection, decision: Decision) -> None:
    """Let nothing be released by a policy that is not in force any more.

    Raises:
        ConsentWithheld: ``policy_changed``.
    """
    if connection.value(queries.NUMBER_IN_FORCE, {}) != decision.in_force:
        raise policy_changed(decision)


def policy_changed(decision: Decision) -> ConsentWithheld:
    """What others are told where the policy has changed between the seal and its release."""
    return ConsentWithheld(
        "this node's policy or settings were changed after it had sealed its words",
        code="policy_changed",
        clause=f"policy.rule[{decision.rule_number}]",
        remedy="ask the question again, as a new job",
    )


def _last_reopening(connection: Connection, asset: str, organisation: str) -> Reopened | None:
    row = connection.row(queries.REOPENING, {"asset": asset, "organisation": organisation})
    if row is None:
        return None
    return Reopened(
        id=bytes.fromhex(row.reopening_id),
        serial=row.serial,
        names=msgspec.json.decode(row.names, type=tuple[str, ...]),
    )
