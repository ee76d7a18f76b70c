"""The journal's tables. Alembic's migrations make them; a test holds the two against each other.

job       one row for each job id that this node was ever asked, in the order of asking: the tries; each with
          how many there were before it, of the same asset and organisation
consent   when which cohort statement went out
seal      what a later release needs, until the job is closed; the exchange that it is of, in a training
release   one row for each round of a job, ever. The sets of names of a scope's releases are its cohorts
reopening each reopening of a scope's cohort that was accepted: releases from before bind no more
place     under which asset a file was joined: a renamed asset would have no cohort
instance  one row: the number that grows with each write
in_force  one row for each policy with settings that the node has judged by, word for word
app_approval  one row for each approval of an app by hand; while it holds it has no end
pause     one row for each time that the holder stopped the node; the last is open while it is stopped
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

__all__ = [
    "app_approval",
    "consent",
    "in_force",
    "instance",
    "job",
    "metadata",
    "pause",
    "place",
    "release",
    "reopening",
    "seal",
]

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

job: Final = sa.Table(
    "job",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String(64), nullable=False, unique=True),
    sa.Column("analyst", sa.String(512), nullable=False),
    sa.Column("organisation", sa.String(512), nullable=False),
    sa.Column("dataset", sa.String(64), nullable=False),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("in_words", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("specification", sa.Text, nullable=False),
    sa.Column("deadline", sa.Float(53), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("refusal", sa.Text, nullable=False),
    sa.Column("asked_at", sa.Float(53), nullable=False),
    sa.Column("changed_at", sa.Float(53), nullable=False),
    sa.Column("counted", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("rule_number", sa.Integer, nullable=False, server_default="0"),
    sa.Column("in_force", sa.Integer, nullable=False, server_default="0"),
    sa.Column("decided_by", sa.String(128), nullable=False, server_default=""),
    sa.Column("decided_at", sa.Float(53), nullable=True),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_job_asked", "asset", "organisation", "asked_at"),
    sa.Index("ix_job_scope", "asset", "organisation"),
    sa.Index("ix_job_state", "state"),
    sqlite_autoincrement=True,
)

consent: Final = sa.Table(
    "consent",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.ForeignKey("job.job_id"), nullable=False, index=True),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("given_at", sa.Float(53), nullable=False),
    sa.Column("in_force", sa.Integer, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)

seal: Final = sa.Table(
    "seal",
    metadata,
    sa.Column("job_id", sa.ForeignKey("job.job_id"), primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("sealed_at", sa.Float(53), nullable=False),
    sa.Column("in_force", sa.Integer, nullable=False, server_default="0"),
    sa.Column("question", sa.LargeBinary, nullable=False, server_default=sa.text("x''")),
    sa.Column("app", sa.Integer, nullable=False, server_default="0"),
)

release: Final = sa.Table(
    "release",
    metadata,
    sa.Column("job_id", sa.ForeignKey("job.job_id"), primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("organisation", sa.String(512), nullable=False),
    sa.Column("rule", sa.String(16), nullable=False),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("question", sa.LargeBinary, nullable=False),
    sa.Column("roster", sa.LargeBinary, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("released_at", sa.Float(53), nullable=False),
    sa.Column("in_force", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reopening", sa.LargeBinary, nullable=False),
    sa.Index("ix_release_rule", "asset", "organisation", "rule"),
    sa.Index("ix_release_cohort", "asset", "organisation", "reopening", "names"),
    sa.Index("ix_release_question", "asset", "organisation", "reopening", "question", "names"),
)

reopening: Final = sa.Table(
    "reopening",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("reopening_id", sa.String(64), nullable=False),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("organisation", sa.String(512), nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("accepted_at", sa.Float(53), nullable=False),
    sa.Index("ix_reopening_scope", "asset", "organisation", "serial", unique=True),
    sqlite_autoincrement=True,
)

place: Final = sa.Table(
    "place",
    metadata,
    sa.Column("path", sa.String(4096), primary_key=True),
    sa.Column("asset", sa.String(64), nullable=False),
)

instance: Final = sa.Table(
    "instance",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)

in_force: Final = sa.Table(
    "in_force",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("policy_hash", sa.String(64), nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("settings_hash", sa.String(64), nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("since", sa.Float(53), nullable=False),
    sqlite_autoincrement=True,
)

app_approval: Final = sa.Table(
    "app_approval",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("app", sa.String(64), nullable=False, index=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("approved_at", sa.Float(53), nullable=False),
    sa.Column("approved_by", sa.String(128), nullable=False),
    sa.Column("withdrawn_at", sa.Float(53), nullable=True),
    sa.Column("withdrawn_by", sa.String(128), nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

pause: Final = sa.Table(
    "pause",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("paused_at", sa.Float(53), nullable=False),
    sa.Column("paused_by", sa.String(128), nullable=False),
    sa.Column("resumed_at", sa.Float(53), nullable=True),
    sa.Column("resumed_by", sa.String(128), nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
