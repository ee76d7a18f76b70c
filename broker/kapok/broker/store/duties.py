"""What nodes owe: a few questions to the tables, for as many nodes at once as want to know.

It is asked whenever something changes for a node: so values are read instead of rows that could be changed.
What is searched is the live jobs, never all that a node was ever asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, exists, false, func, literal, select

from kapok.broker.store.jobs import CURRENT
from kapok.broker.store.rows import Rows
from kapok.broker.store.schema import Base
from kapok.persistence import Prepared

__all__ = ["Duty", "DutyTable"]

# Of SQLite's 32,766 parameters of one statement.
_NODES_AT_ONCE: Final = 1000


class Duty(NamedTuple):
    """A job in which a node has something to do; what it is follows from the job's state.

    Attributes:
        job: The job's id.
        state: The job's state.
        asked: How often the node was asked for its consent; 0 where it owes something else.
        attempt: Row number of the newest attempt; None, as the following, while there has been none.
        round: The attempt's round.
        number: The attempt's number.
        attempt_state: The attempt's state.
        left_behind: The others went on without it, and it has not come back since.
    """

    job: str
    state: str
    asked: int
    attempt: int | None
    round: int | None
    number: int | None
    attempt_state: str | None
    left_behind: bool


class DutyTable:
    """Duties of nodes, within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def of(
        self, nodes: Collection[str], *, gathering: str, sealing: str, releasing: str
    ) -> dict[str, list[Duty]]:
        """What each of these nodes owes now: each organisation's oldest job, then the next of each, in turns.

        Of an organisation its analysts have turns in the same way.

        Args:
            nodes: Their names.
            gathering: The state of jobs to which a node owes a consent, if it has neither given one that is
                current nor refused. If it was left behind it may give one in other states as well.
            sealing: The state of jobs to which it owes a sealed vector, if it is in the newest attempt's
                roster and none of its own is counted.
            releasing: The state of jobs to which it owes a release, if its vector is counted and it has not
                released.
        """
        owed: dict[str, list[Duty]] = {node: [] for node in nodes}
        live = self._live([gathering, sealing, releasing])
        if not live:
            return owed
        asked = self._owing(_ASKED, [duty.job for duty in live if duty.state == gathering], nodes)
        left = self._owing(_LEFT, [duty.job for duty in live if duty.state != gathering], nodes)
        seated = self._owing(_SEATED, [duty.attempt for duty in live if duty.state == sealing], nodes)
        sealed = self._owing(_SEALED, [duty.attempt for duty in live if duty.state == releasing], nodes)
        for duty in live:
            for node, times in asked.get(duty.job, ()):
                owed[node].append(duty._replace(asked=times))
            for node, times in left.get(duty.job, ()):
                owed[node].append(duty._replace(asked=times, left_behind=True))
            for node, _ in (seated if duty.state == sealing else sealed).get(duty.attempt, ()):
                owed[node].append(duty)
        return owed

    def _live(self, states: Sequence[str]) -> list[Duty]:
        """The jobs at work, organisations in turns, and in each its analysts: many come not before one."""
        found = [
            (analyst, Duty(*values)) for analyst, *values in self._rows.tuples(_LIVE, {"states": states})
        ]
        analysts = _in_turns(found, lambda one: one[0])
        return [duty for _, duty in _in_turns(analysts, lambda one: one[0].partition("/analyst/")[0])]

    def closed(self, node: str, states: Collection[str], since: float, most: int) -> Sequence[str]:
        """Ids of the jobs that asked a node and came into one of these states after `since`, newest first."""
        wanted = {"node": node, "states": list(states), "since": since, "most": most}
        return self._rows.column(_CLOSED, wanted)

    def just_closed(
        self, nodes: Collection[str], states: Collection[str], since: float
    ) -> dict[str, list[str]]:
        """Ids of all jobs that asked each of these nodes and came into one of these states after `since`."""
        found: dict[str, list[str]] = {node: [] for node in nodes}
        jobs = self._rows.column(_ENDED, {"states": list(states), "since": since})
        for job, owing in self._owing(_MEMBERS, jobs, nodes).items():
            for node, _ in owing:
                found[node].append(job)
        return found

    def _owing(
        self, query: Prepared, places: Sequence[Any], nodes: Collection[str]
    ) -> dict[Any, list[tuple[str, int]]]:
        """By job or attempt, those of these nodes whom the query finds there, each with its number."""
        found: dict[Any, list[tuple[str, int]]] = defaultdict(list)
        if places:
            for some in _portions(list(nodes)):
                for place, node, number in self._rows.tuples(query, {"places": places, "nodes": some}):
                    found[place].append((node, number))
        return found


def _in_turns(
    jobs: list[tuple[str, Duty]], whose: Callable[[tuple[str, Duty]], str]
) -> list[tuple[str, Duty]]:
    """The first of each, then the second of each, and so on."""
    ranks: Counter[str] = Counter()
    ranked: list[tuple[int, tuple[str, Duty]]] = []
    for job in jobs:
        ranked.append((ranks[whose(job)], job))
        ranks[whose(job)] += 1
    return [job for _, job in sorted(ranked, key=lambda one: one[0])]


def _portions(nodes: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        yield nodes[start : start + _NODES_AT_ONCE]


_TABLES: Final = Base.metadata.tables
_NOTHING: Final = literal(0)


def _live() -> Select[Any]:
    job, attempt = _TABLES["job"], _TABLES["attempt"]
    others = attempt.alias()
    newest = select(func.max(others.c.id)).where(others.c.job == job.c.id).scalar_subquery()
    columns = [
        job.c.analyst,
        job.c.id,
        job.c.state,
        _NOTHING,
        attempt.c.id,
        attempt.c.round,
        attempt.c.number,
        attempt.c.state,
        false(),
    ]
    tables = job.outerjoin(attempt, attempt.c.id == newest)
    at_work = _in(job.c.state, "states"), job.c.at_work.is_(True)
    return select(*columns).select_from(tables).where(*at_work).order_by(job.c.ordinal)


def _owes(kind: str, place: str, number: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Rows of a kind, about one of some jobs or attempts and one of some nodes."""
    table = _TABLES[kind]
    here = _in(table.c[place], "places"), _in(table.c.node, "nodes")
    return select(table.c[place], table.c.node, number).where(*here, *conditions)


def _has(kind: str, about: str, other: str, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there is a row of another kind about the same job or attempt, and of the same node."""
    table, outer = _TABLES[kind], _TABLES[other]
    return exists().where(table.c[about] == outer.c[about], table.c.node == outer.c.node, *conditions)


def _in(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


def _closed() -> Select[Any]:
    job, member = _TABLES["job"], _TABLES["job_member"]
    asked = exists().where(member.c.job == job.c.id, member.c.node == bindparam("node"))
    query = select(job.c.id).where(_in(job.c.state, "states"), job.c.changed_at >= bindparam("since"), asked)
    return query.order_by(job.c.ordinal.desc()).limit(bindparam("most"))


def _ended() -> Select[Any]:
    job = _TABLES["job"]
    since = job.c.changed_at >= bindparam("since")
    return select(job.c.id).where(_in(job.c.state, "states"), since).order_by(job.c.ordinal)


_CLOSED: Final = Prepared(_closed())
_ENDED: Final = Prepared(_ended())
_LIVE: Final = Prepared(_live())
_MEMBERS: Final = Prepared(_owes("job_member", "job", _NOTHING))
_OFFERED: Final = _owes(
    "job_member",
    "job",
    _TABLES["job_member"].c.asked,
    _TABLES["job_member"].c.refusal.is_(None),
    ~_has("consent", "job", "job_member", _TABLES["consent"].c.standing == CURRENT),
)
_ASKED: Final = Prepared(_OFFERED)
_LEFT: Final = Prepared(_OFFERED.where(_TABLES["job_member"].c.left_behind.is_(True)))
_SEATED: Final = Prepared(
    _owes(
        "roster_member",
        "attempt",
        _NOTHING,
        ~_has("sealed_vector", "attempt", "roster_member", _TABLES["sealed_vector"].c.counted.is_(True)),
    )
)
_SEALED: Final = Prepared(
    _owes(
        "sealed_vector",
        "attempt",
        _NOTHING,
        _TABLES["sealed_vector"].c.counted.is_(True),
        ~_has("release", "attempt", "sealed_vector"),
    )
)
