"""Queries over jobs, whom they ask, consents, refusals and history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from kapok.broker.store.schema import ConsentRow, EventRow, JobRow, MemberRow

__all__ = ["CURRENT", "STALE", "SUPERSEDED", "Asked", "Given", "JobTable", "Tally"]

CURRENT = "current"
STALE = "stale"
SUPERSEDED = "superseded"

# What is asked at every step is written down once: building a statement takes longer than running it.
_OF_ANALYST: Final = (
    JobRow.analyst == bindparam("analyst"),
    JobRow.state.in_(bindparam("states", expanding=True)),
)
_TURNS: Final = select(JobRow.at_work, func.count()).where(*_OF_ANALYST).group_by(JobRow.at_work)
_WAITING: Final = (
    select(JobRow)
    .where(*_OF_ANALYST, JobRow.at_work.is_(False))
    .order_by(JobRow.ordinal)
    .limit(bindparam("most"))
)
_WHO_WAITS: Final = (
    select(JobRow.analyst)
    .where(JobRow.at_work.is_(False), JobRow.state.in_(bindparam("states", expanding=True)))
    .distinct()
)
_SPECIFICATION: Final = select(JobRow.specification).where(JobRow.id == bindparam("job"))
_OF_JOB: Final = MemberRow.job == bindparam("job")
_MEMBERS: Final = select(
    MemberRow.node, MemberRow.organisation, MemberRow.left_behind, MemberRow.refusal, MemberRow.fault
).where(_OF_JOB)
_CURRENT: Final = (ConsentRow.job == bindparam("job"), ConsentRow.standing == CURRENT)
_CONSENTS: Final = select(
    ConsentRow.node, ConsentRow.digest, ConsentRow.token, ConsentRow.rule, ConsentRow.cohorts
).where(*_CURRENT)
_CONSENTING: Final = select(ConsentRow.node).where(*_CURRENT)
_RULES: Final = select(ConsentRow.rule).where(*_CURRENT).distinct()
_ALL_CONSENTS: Final = select(ConsentRow).where(
    ConsentRow.job == bindparam("job"), ConsentRow.node == bindparam("node")
)
_NO_COHORTS: Final = "[]"
_GATHERED: Final = select(
    exists()
    .where(_OF_JOB, MemberRow.refusal.is_(None), MemberRow.left_behind.is_(False))
    .where(
        ~exists()
        .where(ConsentRow.job == MemberRow.job, ConsentRow.node == MemberRow.node)
        .where(ConsentRow.standing == CURRENT)
    ),
    exists().where(_OF_JOB, or_(MemberRow.refusal.is_not(None), MemberRow.left_behind.is_(True))),
    exists().where(*_CURRENT, ConsentRow.rule == "fixed", ConsentRow.cohorts != _NO_COHORTS),
)


class Asked(NamedTuple):
    """One whom a job asks: values. See `MemberRow`."""

    node: str
    organisation: str
    left_behind: bool
    refusal: str | None
    fault: str | None


class Given(NamedTuple):
    """A node's current consent: values. See `ConsentRow`."""

    node: str
    digest: str
    token: str
    rule: str
    cohorts: str

    @property
    def binds(self) -> bool:
        """Whether it states a cohort of its node's that the job must keep to."""
        return self.rule == "fixed" and self.cohorts != _NO_COHORTS


class Tally(NamedTuple):
    """What the answers to a job come to, without reading them.

    Attributes:
        silent: Somebody can still be waited for.
        lost: Somebody has refused, or was left behind.
        bound: Somebody has stated a cohort under the rule ``fixed``.
    """

    silent: bool
    lost: bool
    bound: bool


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

    def specification(self, job_id: str) -> str:
        """A job's specification as its analyst signed it."""
        return self._session.execute(_SPECIFICATION, {"job": job_id}).scalar_one()

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

    def count(
        self, states: Collection[str], *, organisation: str | None = None, analyst: str | None = None
    ) -> int:
        """How many jobs are in one of these states, of one organisation or analyst or of all."""
        query = select(func.count()).select_from(JobRow).where(JobRow.state.in_(states))
        if organisation is not None:
            query = query.where(JobRow.organisation == organisation)
        if analyst is not None:
            query = query.where(JobRow.analyst == analyst)
        return self._session.scalar(query) or 0

    def at_work(self, analyst: str, states: Collection[str]) -> tuple[int, int]:
        """How many jobs of an analyst in one of these states are at work, and how many wait for that."""
        wanted = {"analyst": analyst, "states": list(states)}
        found = {at_work: count for at_work, count in self._session.execute(_TURNS, wanted)}  # noqa: C416
        return found.get(True, 0), found.get(False, 0)

    def waiting(self, analyst: str, states: Collection[str], most: int) -> Sequence[JobRow]:
        """The first jobs of an analyst that wait for their turn, in the order of submission."""
        wanted = {"analyst": analyst, "states": list(states), "most": most}
        return self._session.scalars(_WAITING, wanted).all()

    def ahead(self, job: JobRow, states: Collection[str]) -> int:
        """How many jobs of the same analyst in one of these states were submitted before a job."""
        query = select(func.count()).select_from(JobRow).where(JobRow.analyst == job.analyst)
        return self._session.scalar(query.where(JobRow.state.in_(states), JobRow.ordinal < job.ordinal)) or 0

    def who_waits(self, states: Collection[str]) -> Sequence[str]:
        """The analysts of whom a job in one of these states waits for its turn."""
        return self._session.scalars(_WHO_WAITS, {"states": list(states)}).all()

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

    def members(self, job_id: str) -> Sequence[Asked]:
        """Whom a job asks, by name."""
        found = (Asked(*row) for row in self._session.execute(_MEMBERS, {"job": job_id}))
        return sorted(found, key=lambda asked: asked.node.encode())

    def leave_behind(self, job_id: str, nodes: Collection[str]) -> None:
        """Note that the others go on without these."""
        of_these = MemberRow.job == job_id, MemberRow.node.in_(nodes)
        self._session.execute(update(MemberRow).where(*of_these).values(left_behind=True))

    def member(self, job_id: str, node: str) -> MemberRow | None:
        """One whom a job asks."""
        return self._session.get(MemberRow, (job_id, node))

    def tally(self, job_id: str) -> Tally:
        """What the answers to a job come to."""
        return Tally(*self._session.execute(_GATHERED, {"job": job_id}).one())

    def consents(self, job_id: str) -> dict[str, Given]:
        """The current consent of each node that has given one."""
        found = (Given(*row) for row in self._session.execute(_CONSENTS, {"job": job_id}))
        return {given.node: given for given in found}

    def consenting(self, job_id: str) -> frozenset[str]:
        """The nodes whose consent is current."""
        return frozenset(self._session.scalars(_CONSENTING, {"job": job_id}))

    def rules(self, job_id: str) -> frozenset[str]:
        """The rules that the current consents to a job state."""
        return frozenset(self._session.scalars(_RULES, {"job": job_id}))

    def drop_consents(self, job_id: str, nodes: Collection[str]) -> None:
        """Let the current consents of these nodes be stale, and ask them once more."""
        of_these = ConsentRow.job == job_id, ConsentRow.node.in_(nodes), ConsentRow.standing == CURRENT
        self._session.execute(update(ConsentRow).where(*of_these).values(standing=STALE))
        again = MemberRow.job == job_id, MemberRow.node.in_(nodes)
        self._session.execute(update(MemberRow).where(*again).values(asked=MemberRow.asked + 1))

    def consent(self, job_id: str, node: str, digest: str) -> ConsentRow | None:
        """A consent by the digest of its token, whatever its standing."""
        return self._session.get(ConsentRow, (job_id, node, digest))

    def all_consents(self, job_id: str, node: str) -> Sequence[ConsentRow]:
        """Every consent that a node has given to a job, whatever its standing."""
        return self._session.scalars(_ALL_CONSENTS, {"job": job_id, "node": node}).all()

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
