"""What the journal is asked and told at every step of a job, written down and compiled once."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from kapok.nodes.journal import tables
from kapok.nodes.states import NodeJobState
from kapok.persistence import Prepared

_job, _consent, _seal, _release = tables.job, tables.consent, tables.seal, tables.release
_OF_JOB: Final[sa.BindParameter[Any]] = sa.bindparam("of_job")

# --- jobs ---------------------------------------------------------------------------------------------------

JOB: Final = Prepared(sa.select(_job).where(_job.c.job_id == _OF_JOB))
ADD_JOB: Final = Prepared(_job.insert())
# Which columns it changes, the values say that it is given.
CHANGE_JOB: Final = Prepared(_job.update().where(_job.c.job_id == _OF_JOB))
DECIDED: Final = Prepared(
    sa.select(_job).where(_job.c.state.in_((NodeJobState.APPROVED, NodeJobState.DENIED)))
)

_ASKED_HERE: Final = (_job.c.asset == sa.bindparam("asset")) & (
    _job.c.organisation == sa.bindparam("organisation")
)
LAST_TRY: Final = Prepared(
    sa.select(_job.c.tries + sa.cast(_job.c.counted, sa.Integer))
    .where(_ASKED_HERE, _job.c.number < sa.bindparam("before"))
    .order_by(_job.c.number.desc())
    .limit(1)
)
FIRST_TRY_SINCE: Final = Prepared(
    sa.select(_job.c.tries, _job.c.number)
    .where(_ASKED_HERE, _job.c.asked_at >= sa.bindparam("since"))
    .order_by(_job.c.asked_at, _job.c.number)
    .limit(1)
)

CONSENTED: Final = Prepared(sa.select(_consent.c.job_id).where(_consent.c.job_id == _OF_JOB).limit(1))
ADD_CONSENT: Final = Prepared(_consent.insert())

# --- seals --------------------------------------------------------------------------------------------------

SEAL: Final = Prepared(
    sa.select(_seal.c.record, _seal.c.in_force, _seal.c.question, _seal.c.app).where(
        _seal.c.job_id == _OF_JOB,
        _seal.c.round == sa.bindparam("of_round"),
        _seal.c.attempt == sa.bindparam("of_attempt"),
    )
)
ADD_SEAL: Final = Prepared(_seal.insert())
FORGET_SEALS: Final = Prepared(_seal.delete().where(_seal.c.job_id == _OF_JOB))
_OVERDUE: Final = _seal.c.job_id.in_(sa.select(_job.c.job_id).where(_job.c.deadline <= sa.bindparam("now")))
ANY_OVERDUE: Final = Prepared(sa.select(_seal.c.job_id).where(_OVERDUE).limit(1))
FORGET_OVERDUE: Final = Prepared(_seal.delete().where(_OVERDUE))

# --- releases -----------------------------------------------------------------------------------------------

RELEASED: Final = Prepared(
    sa.select(_release.c.attempt, _release.c.token).where(
        _release.c.job_id == _OF_JOB, _release.c.round == sa.bindparam("of_round")
    )
)
LAST_RELEASED: Final = Prepared(
    sa.select(sa.func.max(_release.c.round)).where(
        _release.c.job_id == _OF_JOB, _release.c.round < sa.bindparam("before")
    )
)
RELEASES_OF_JOB: Final = Prepared(sa.select(_release).where(_release.c.job_id == _OF_JOB))
ADD_RELEASE: Final = Prepared(_release.insert())


def _next(column: sa.Column[str], *where: sa.ColumnElement[bool]) -> Prepared:
    """A scope's first release by a column, of those beyond a value in it: "" is before all of them."""
    scope = (
        _release.c.asset == sa.bindparam("asset"),
        _release.c.organisation == sa.bindparam("organisation"),
    )
    return Prepared(
        sa.select(_release).where(*scope, *where, column > sa.bindparam("beyond")).order_by(column).limit(1)
    )


_SINCE_REOPENED: Final = _release.c.reopening == sa.bindparam("reopening")
NEXT_COHORT: Final = _next(_release.c.names, _SINCE_REOPENED)
NEXT_COHORT_OF_QUESTION: Final = _next(
    _release.c.names, _SINCE_REOPENED, _release.c.question == sa.bindparam("question")
)
NEXT_RULE: Final = _next(_release.c.rule)

REOPENING: Final = Prepared(
    sa.select(tables.reopening)
    .where(
        tables.reopening.c.asset == sa.bindparam("asset"),
        tables.reopening.c.organisation == sa.bindparam("organisation"),
    )
    .order_by(tables.reopening.c.serial.desc())
    .limit(1)
)

# --- what is in force ---------------------------------------------------------------------------------------

PAUSE: Final = Prepared(
    sa.select(tables.pause)
    .where(tables.pause.c.resumed_at.is_(None))
    .order_by(tables.pause.c.number.desc())
    .limit(1)
)
"""The pause that is on."""

NUMBER_IN_FORCE: Final = Prepared(sa.select(sa.func.max(tables.in_force.c.number)))
LAST_IN_FORCE: Final = Prepared(sa.select(tables.in_force).order_by(tables.in_force.c.number.desc()).limit(1))
ADD_IN_FORCE: Final = Prepared(tables.in_force.insert().returning(tables.in_force.c.number))
PLACE: Final = Prepared(sa.select(tables.place.c.asset).where(tables.place.c.path == sa.bindparam("of_path")))
ADD_PLACE: Final = Prepared(tables.place.insert())

APP_HELD: Final = Prepared(
    sa.select(tables.app_approval.c.number).where(
        tables.app_approval.c.number == sa.bindparam("of_number"),
        tables.app_approval.c.withdrawn_at.is_(None),
    )
)
APP_APPROVALS: Final = Prepared(
    sa.select(tables.app_approval)
    .where(
        tables.app_approval.c.withdrawn_at.is_(None)
        | (tables.app_approval.c.withdrawn_at >= sa.bindparam("since"))
    )
    .order_by(tables.app_approval.c.number)
)
"""Those that held at a moment or were given after it."""
