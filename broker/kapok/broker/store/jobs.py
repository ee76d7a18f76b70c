"""Queries over jobs, whom they ask, consents, refusals and history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, or_, select, update

from kapok.broker.store.rows import Rows, all_of
from kapok.broker.store.schema import AttemptRow, ConsentRow, EventRow, JobRow, MemberRow, ReleaseRow
from kapok.persistence import Prepared

__all__ = ["CURRENT", "STALE", "SUPERSEDED", "Asked", "Given", "JobTable", "Tally", "Timed"]

CURRENT = "current"
STALE = "stale"
SUPERSEDED = "superseded"


def _in(column: Any, name: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.in_(bindparam(name, expanding=True))
    return found


# --- jobs

_IN_STATES: Final = _in(JobRow.state, "states")
_JOBS: Final = all_of(JobRow).order_by(JobRow.ordinal)
_OF_ANALYST: Final = JobRow.analyst == bindparam("analyst")
_OF_ORGANISATION: Final = JobRow.organisation == bindparam("organisation")
_COUNTED: Final = select(func.count()).select_from(JobRow).where(_IN_STATES)
_LAST: Final = Prepared(select(func.max(JobRow.ordinal)))
_LONG: Final = JobRow.__table__.c
_SPECIFICATION: Final = Prepared(select(_LONG.specification).where(JobRow.id == bindparam("job")))
_PAYLOAD: Final = Prepared(select(_LONG.payload).where(JobRow.id == bindparam("job")))
_NEWEST_FIRST: Final = select(JobRow.id).order_by(JobRow.ordinal.desc()).limit(bindparam("most"))
_NEWEST: Final = Prepared(_NEWEST_FIRST)
_NEWEST_OF_ANALYST: Final = Prepared(_NEWEST_FIRST.where(_OF_ANALYST))
_BY_STATE: Final = Prepared(_JOBS.where(_IN_STATES))
_BY_STATE_OF_ORGANISATION: Final = Prepared(_JOBS.where(_IN_STATES, _OF_ORGANISATION))
_COUNT: Final = Prepared(_COUNTED)
_COUNT_OF_ORGANISATION: Final = Prepared(_COUNTED.where(_OF_ORGANISATION))
_COUNT_OF_ANALYST: Final = Prepared(_COUNTED.where(_OF_ANALYST))
_TURNS: Final = Prepared(
    select(JobRow.at_work, func.count()).where(_OF_ANALYST, _IN_STATES).group_by(JobRow.at_work)
)
_WAITING: Final = Prepared(
    _JOBS.where(_OF_ANALYST, _IN_STATES, JobRow.at_work.is_(False)).limit(bindparam("most"))
)
_AHEAD: Final = Prepared(_COUNTED.where(_OF_ANALYST, JobRow.ordinal < bindparam("before")))
_LIVE: Final = Prepared(
    select(JobRow.id, JobRow.analyst, JobRow.state, JobRow.at_work, JobRow.deadline)
    .where(_IN_STATES)
    .order_by(JobRow.ordinal)
)
_UNCHANGED: Final = Prepared(
    select(JobRow.id)
    .where(_IN_STATES, JobRow.changed_at <= bindparam("before"))
    .order_by(JobRow.ordinal)
    .limit(bindparam("most"))
)
_SPARE: Final = Prepared(
    select(JobRow.id)
    .where(_OF_ORGANISATION, _IN_STATES)
    .order_by(
        exists().where(AttemptRow.job == JobRow.id, ReleaseRow.attempt == AttemptRow.id), JobRow.ordinal
    )
    .limit(bindparam("most"))
)
_FORGET: Final = Prepared(delete(JobRow).where(JobRow.id == bindparam("job")))
_NEIGHBOURS: Final = Prepared(_JOBS.where(_OF_ORGANISATION, JobRow.id != bindparam("job"), _IN_STATES))

# --- whom they ask, and what those answered

_OF_JOB: Final = MemberRow.job == bindparam("job")
_MEMBERS: Final = Prepared(
    select(
        MemberRow.node, MemberRow.organisation, MemberRow.left_behind, MemberRow.refusal, MemberRow.fault
    ).where(_OF_JOB)
)
_MEMBERS_TOLD: Final = update(MemberRow).where(
    MemberRow.job == bindparam("of_job"), _in(MemberRow.node, "nodes")
)
_LEAVE_BEHIND: Final = Prepared(_MEMBERS_TOLD.values(left_behind=True))
_ASK_AGAIN: Final = Prepared(_MEMBERS_TOLD.values(asked=MemberRow.asked + 1))
_CURRENT: Final = (ConsentRow.job == bindparam("job"), ConsentRow.standing == CURRENT)
_CONSENTS: Final = Prepared(
    select(ConsentRow.node, ConsentRow.digest, ConsentRow.token, ConsentRow.rule, ConsentRow.cohorts).where(
        *_CURRENT
    )
)
_CONSENTING: Final = Prepared(select(ConsentRow.node).where(*_CURRENT))
_RULES: Final = Prepared(select(ConsentRow.rule).where(*_CURRENT).distinct())
_ALL_CONSENTS: Final = Prepared(
    all_of(ConsentRow).where(ConsentRow.job == bindparam("job"), ConsentRow.node == bindparam("node"))
)
_DROP_CONSENTS: Final = Prepared(
    update(ConsentRow)
    .where(ConsentRow.job == bindparam("of_job"), ConsentRow.standing == CURRENT)
    .where(_in(ConsentRow.node, "nodes"))
    .values(standing=STALE)
)
_NO_COHORTS: Final = "[]"
_GATHERED: Final = Prepared(
    select(
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
)


class Asked(NamedTuple):
    """One whom a job asks: values. See `MemberRow`."""

    node: str
    organisation: str
    left_behind: bool
    refusal: str | None
    fault: str | None


class Timed(NamedTuple):
    """What the clock looks at: values. See `JobRow`."""

    id: str
    analyst: str
    state: str
    at_work: bool
    deadline: float


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

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, row: JobRow, members: Sequence[MemberRow], *, specification: str, payload: bytes) -> None:
        """Keep a new job, last in the order of submission, and whom it asks.

        Args:
            row: The job.
            members: Whom it asks.
            specification: As its analyst signed it.
            payload: What of it was signed.
        """
        row.ordinal = 1 + (self._rows.value(_LAST) or 0)
        self._rows.add(row, specification=specification, payload=payload)
        for member in members:
            self._rows.add(member)

    def get(self, job_id: str) -> JobRow | None:
        """The job of that id, if there is one."""
        return self._rows.get(JobRow, job_id)

    def specification(self, job_id: str) -> str:
        """A job's specification as its analyst signed it."""
        return str(self._rows.value(_SPECIFICATION, {"job": job_id}))

    def payload(self, job_id: str) -> bytes:
        """What its analyst signed, without the signature."""
        return bytes(self._rows.value(_PAYLOAD, {"job": job_id}))

    def of_analyst(self, analyst: str | None, most: int) -> Sequence[str]:
        """Ids of an analyst's newest jobs, or of everybody's with None, newest first."""
        if analyst is None:
            return self._rows.column(_NEWEST, {"most": most})
        return self._rows.column(_NEWEST_OF_ANALYST, {"analyst": analyst, "most": most})

    def in_states(self, states: Collection[str], organisation: str | None = None) -> Sequence[JobRow]:
        """The jobs in one of these states, in the order of submission."""
        wanted = {"states": list(states)}
        if organisation is None:
            return self._rows.found(JobRow, _BY_STATE, wanted)
        return self._rows.found(JobRow, _BY_STATE_OF_ORGANISATION, wanted | {"organisation": organisation})

    def count(
        self, states: Collection[str], *, organisation: str | None = None, analyst: str | None = None
    ) -> int:
        """How many jobs are in one of these states, of one organisation or analyst or of all."""
        wanted = {"states": list(states)}
        if organisation is not None:
            return int(self._rows.value(_COUNT_OF_ORGANISATION, wanted | {"organisation": organisation}))
        if analyst is not None:
            return int(self._rows.value(_COUNT_OF_ANALYST, wanted | {"analyst": analyst}))
        return int(self._rows.value(_COUNT, wanted))

    def at_work(self, analyst: str, states: Collection[str]) -> tuple[int, int]:
        """How many jobs of an analyst in one of these states are at work, and how many wait for that."""
        found = dict(self._rows.tuples(_TURNS, {"analyst": analyst, "states": list(states)}))
        return found.get(True, 0), found.get(False, 0)

    def waiting(self, analyst: str, states: Collection[str], most: int) -> Sequence[JobRow]:
        """The first jobs of an analyst that wait for their turn, in the order of submission."""
        wanted = {"analyst": analyst, "states": list(states), "most": most}
        return self._rows.found(JobRow, _WAITING, wanted)

    def ahead(self, job: JobRow, states: Collection[str]) -> int:
        """How many jobs of the same analyst in one of these states were submitted before a job."""
        wanted = {"analyst": job.analyst, "states": list(states), "before": job.ordinal}
        return int(self._rows.value(_AHEAD, wanted))

    def timed(self, states: Collection[str]) -> Sequence[Timed]:
        """What the clock asks of the jobs in one of these states, in the order of submission."""
        return [Timed(*row) for row in self._rows.tuples(_LIVE, {"states": list(states)})]

    def unchanged_since(self, states: Collection[str], before: float, most: int) -> Sequence[str]:
        """Ids of the first jobs in one of these states that have not changed since `before`."""
        wanted = {"states": list(states), "before": before, "most": most}
        return self._rows.column(_UNCHANGED, wanted)

    def spare(self, states: Collection[str], organisation: str, most: int) -> Sequence[str]:
        """Ids of an organisation's jobs in one of these states that may go.

        Those of which nothing was released come first; of them, and of the others, the oldest.
        """
        wanted = {"states": list(states), "organisation": organisation, "most": most}
        return self._rows.column(_SPARE, wanted)

    def forget(self, job_id: str) -> None:
        """Delete a job and everything that belongs to it."""
        self._rows.change(_FORGET, {"job": job_id}, kind=JobRow)

    def members(self, job_id: str) -> Sequence[Asked]:
        """Whom a job asks, by name."""
        found = (Asked(*row) for row in self._rows.tuples(_MEMBERS, {"job": job_id}))
        return sorted(found, key=lambda asked: asked.node.encode())

    def leave_behind(self, job_id: str, nodes: Collection[str]) -> None:
        """Note that the others go on without these."""
        if nodes:
            self._rows.change(_LEAVE_BEHIND, {"of_job": job_id, "nodes": list(nodes)}, kind=MemberRow)

    def member(self, job_id: str, node: str) -> MemberRow | None:
        """One whom a job asks."""
        return self._rows.get(MemberRow, job_id, node)

    def tally(self, job_id: str) -> Tally:
        """What the answers to a job come to."""
        [found] = self._rows.tuples(_GATHERED, {"job": job_id})
        return Tally(*found)

    def consents(self, job_id: str) -> dict[str, Given]:
        """The current consent of each node that has given one."""
        found = (Given(*row) for row in self._rows.tuples(_CONSENTS, {"job": job_id}))
        return {given.node: given for given in found}

    def consenting(self, job_id: str) -> frozenset[str]:
        """The nodes whose consent is current."""
        return frozenset(self._rows.column(_CONSENTING, {"job": job_id}))

    def rules(self, job_id: str) -> frozenset[str]:
        """The rules that the current consents to a job state."""
        return frozenset(self._rows.column(_RULES, {"job": job_id}))

    def drop_consents(self, job_id: str, nodes: Collection[str]) -> None:
        """Let the current consents of these nodes be stale, and ask them once more."""
        of_these = {"of_job": job_id, "nodes": list(nodes)}
        self._rows.change(_DROP_CONSENTS, of_these, kind=ConsentRow)
        self._rows.change(_ASK_AGAIN, of_these, kind=MemberRow)

    def consent(self, job_id: str, node: str, digest: str) -> ConsentRow | None:
        """A consent by the digest of its token, whatever its standing."""
        return self._rows.get(ConsentRow, job_id, node, digest)

    def all_consents(self, job_id: str, node: str) -> Sequence[ConsentRow]:
        """Every consent that a node has given to a job, whatever its standing."""
        return self._rows.found(ConsentRow, _ALL_CONSENTS, {"job": job_id, "node": node})

    def add_consent(self, row: ConsentRow) -> None:
        """Keep a consent."""
        self._rows.add(row)

    def record(self, row: EventRow) -> None:
        """Add a line to the history."""
        self._rows.add(row)

    def neighbours(self, job: JobRow, states: Collection[str]) -> Sequence[JobRow]:
        """Other jobs of the same organisation in one of these states, in the order of submission."""
        wanted = {"organisation": job.organisation, "job": job.id, "states": list(states)}
        return self._rows.found(JobRow, _NEIGHBOURS, wanted)
