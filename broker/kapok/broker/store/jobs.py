"""Queries over jobs, whom they ask, consents, refusals and history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session

from kapok.broker.store.schema import ConsentRow, EventRow, JobRow, MemberRow

__all__ = ["CURRENT", "STALE", "SUPERSEDED", "JobTable"]

CURRENT = "current"
STALE = "stale"
SUPERSEDED = "superseded"

# What is asked at every step is written down once: building a statement takes longer than running it.
_MEMBERS: Final = select(MemberRow).where(MemberRow.job == bindparam("job"))
_CONSENTS: Final = select(ConsentRow).where(
    ConsentRow.job == bindparam("job"), ConsentRow.standing == CURRENT
)


class JobTable:
    """Jobs and what nodes answered to them, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: JobRow, members: Sequence[MemberRow]) -> None:
        """Keep a new job, last in the order of submission, and whom it asks."""
        row.ordinal = 1 + (self._session.scalar(select(func.max(JobRow.ordinal))) or 0)
        self._session.add(row)
        self._session.flush()
        self._session.add_all(members)
        self._session.flush()

    def get(self, job_id: str) -> JobRow | None:
        """The job of that id, if there is one."""
        return self._session.get(JobRow, job_id)

    def of_analyst(self, analyst: str | None, most: int) -> Sequence[JobRow]:
        """An analyst's newest jobs, or everybody's with None, newest first."""
        query = select(JobRow).order_by(JobRow.ordinal.desc()).limit(most)
        if analyst is not None:
            query = query.where(JobRow.analyst == analyst)
        return self._session.scalars(query).all()

    def in_states(self, states: Collection[str], organisation: str | None = None) -> Sequence[JobRow]:
        """The jobs in one of these states, in the order of submission."""
        query = select(JobRow).where(JobRow.state.in_(states)).order_by(JobRow.ordinal)
        if organisation is not None:
            query = query.where(JobRow.organisation == organisation)
        return self._session.scalars(query).all()

    def count(self, states: Collection[str], organisation: str | None = None) -> int:
        """How many jobs are in one of these states, of one organisation or of all."""
        query = select(func.count()).select_from(JobRow).where(JobRow.state.in_(states))
        if organisation is not None:
            query = query.where(JobRow.organisation == organisation)
        return self._session.scalar(query) or 0

    def overdue(self, states: Collection[str], now: float) -> Sequence[JobRow]:
        """The jobs in one of these states whose deadline has passed."""
        query = select(JobRow).where(JobRow.state.in_(states), JobRow.deadline <= now)
        return self._session.scalars(query.order_by(JobRow.ordinal)).all()

    def unchanged_since(self, states: Collection[str], before: float) -> Sequence[JobRow]:
        """The jobs in one of these states that have not changed since `before`."""
        query = select(JobRow).where(JobRow.state.in_(states), JobRow.changed_at <= before)
        return self._session.scalars(query.order_by(JobRow.ordinal)).all()

    def forget(self, job_id: str) -> None:
        """Delete a job and everything that belongs to it."""
        self._session.execute(delete(JobRow).where(JobRow.id == job_id))

    def members(self, job_id: str) -> Sequence[MemberRow]:
        """Whom a job asks, by name."""
        return sorted(self._session.scalars(_MEMBERS, {"job": job_id}), key=lambda row: row.node.encode())

    def member(self, job_id: str, node: str) -> MemberRow | None:
        """One whom a job asks."""
        return self._session.get(MemberRow, (job_id, node))

    def consents(self, job_id: str) -> dict[str, ConsentRow]:
        """The current consent of each node that has given one."""
        return {row.node: row for row in self._session.scalars(_CONSENTS, {"job": job_id})}

    def consent(self, job_id: str, node: str, digest: str) -> ConsentRow | None:
        """A consent by the digest of its token, whatever its standing."""
        return self._session.get(ConsentRow, (job_id, node, digest))

    def all_consents(self, job_id: str, node: str) -> Sequence[ConsentRow]:
        """Every consent that a node has given to a job, whatever its standing."""
        query = select(ConsentRow).where(ConsentRow.job == job_id, ConsentRow.node == node)
        return self._session.scalars(query).all()

    def add_consent(self, row: ConsentRow) -> None:
        """Keep a consent."""
        self._session.add(row)
        self._session.flush()

    def record(self, row: EventRow) -> None:
        """Add a line to the history."""
        self._session.add(row)

    def neighbours(self, job: JobRow, states: Collection[str]) -> Sequence[JobRow]:
        """Other jobs of the same organisation in one of these states, in the order of submission."""
        query = select(JobRow).where(
            JobRow.organisation == job.organisation, JobRow.id != job.id, JobRow.state.in_(states)
        )
        return self._session.scalars(query.order_by(JobRow.ordinal)).all()
