"""The journal's tables. Alembic's migrations make them; a test holds the two against each other.

job       one row for each job id that this node was ever asked, in the order of asking: the tries
consent   when which cohort statement went out
seal      what a later release needs, until the job is closed
release   one row for each round of a job, ever. The sets of names of a scope's releases are its cohorts
place     under which asset a file was joined: a renamed asset would have no cohort
instance  one row: the number that grows with each write
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

__all__ = ["consent", "instance", "job", "metadata", "place", "release", "seal"]

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
    sa.Index("ix_release_scope", "asset", "organisation"),
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
