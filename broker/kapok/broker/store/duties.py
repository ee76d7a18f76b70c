"""What a node owes, in one question to the tables.

It is asked whenever something changes for a node: so the statements are built once, and read values instead
of rows that could be changed. What is searched is the live jobs, never all that a node was ever asked:
conditions on the node are subqueries, so that every engine begins with the job's state.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from kapok.broker.store.jobs import CURRENT
from kapok.broker.store.schema import Base

__all__ = ["Duty", "DutyTable"]


class Duty(NamedTuple):
    """A job in which a node has something to do; what it is follows from the job's state.

    Attributes:
        job: The job's id.
        state: The job's state.
        specification: As its analyst signed it.
        asked: How often the node was asked for its consent.
        attempt: Row number of the newest attempt; None, as the following, while there has been none.
        round: The attempt's round.
        number: The attempt's number.
        attempt_state: The attempt's state.
        left_behind: The others went on without it, and it has not come back since.
    """

    job: str
    state: str
    specification: str
    asked: int
    attempt: int | None
    round: int | None
    number: int | None
    attempt_state: str | None
    left_behind: bool


class DutyTable:
    """Duties of nodes, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, node: str, *, gathering: str, sealing: str, releasing: str) -> Sequence[Duty]:
        """What a node owes now, in the order of submission.

        Args:
            node: Its name.
            gathering: The state of jobs to which it owes a consent, if it has neither given one that is
                current nor refused. If it was left behind it may give one in other states as well.
            sealing: The state of jobs to which it owes a sealed vector, if it is in the newest attempt's
                roster and none of its own is counted.
            releasing: The state of jobs to which it owes a release, if its vector is counted and it has not
                released.
        """
        wanted = {"node": node, "gathering": gathering, "sealing": sealing, "releasing": releasing}
        return [Duty(*row) for row in self._session.connection().execute(_OWED, wanted)]

    def closed(self, node: str, states: Collection[str], since: float, most: int) -> Sequence[str]:
        """Ids of the jobs that asked a node and came into one of these states after `since`, newest first."""
        wanted = {"node": node, "states": list(states), "since": since, "most": most}
        return self._session.connection().execute(_CLOSED, wanted).scalars().all()


_TABLES: Final = Base.metadata.tables


def _owed() -> Select[Any]:
    job, attempt, member = _TABLES["job"], _TABLES["attempt"], _TABLES["job_member"]
    others = attempt.alias()
    newest = select(func.max(others.c.id)).where(others.c.job == job.c.id).scalar_subquery()
    asked = select(member.c.asked).where(member.c.job == job.c.id, member.c.node == bindparam("node"))
    sealed = _has("sealed_vector", attempt, _TABLES["sealed_vector"].c.counted.is_(True))
    consented = _has("consent", job, _TABLES["consent"].c.standing == CURRENT)
    columns = [job.c.id, job.c.state, job.c.specification, asked.scalar_subquery()]
    columns += [attempt.c.id, attempt.c.round, attempt.c.number, attempt.c.state]
    left = _has("job_member", job, member.c.left_behind.is_(True))
    columns.append(left.label("left_behind"))
    owes = or_(
        and_(
            or_(_is(job, "gathering"), left), _has("job_member", job, member.c.refusal.is_(None)), ~consented
        ),
        and_(_is(job, "sealing"), _has("roster_member", attempt), ~sealed),
        and_(_is(job, "releasing"), sealed, ~_has("release", attempt)),
    )
    live = job.c.state.in_([bindparam(state) for state in ("gathering", "sealing", "releasing")])
    tables = job.outerjoin(attempt, attempt.c.id == newest)
    return select(*columns).select_from(tables).where(live, owes).order_by(job.c.ordinal)


def _closed() -> Select[Any]:
    job = _TABLES["job"]
    ended = job.c.state.in_(bindparam("states", expanding=True)), job.c.changed_at >= bindparam("since")
    query = select(job.c.id).where(*ended, _has("job_member", job))
    return query.order_by(job.c.ordinal.desc()).limit(bindparam("most"))


def _is(job: Table, state: str) -> ColumnElement[bool]:
    return job.c.state == bindparam(state)


def _has(kind: str, subject: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there is a row of that kind, of the node's, about the job or attempt."""
    table = _TABLES[kind]
    about = table.c[subject.name] == subject.c.id
    return exists().where(about, table.c.node == bindparam("node"), *conditions)


_OWED: Final = _owed()
_CLOSED: Final = _closed()
