"""The first tables.

Revision 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _jobs()
    _sums()
    op.create_table(
        "place",
        sa.Column("path", sa.String(4096), nullable=False),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_place"),
    )
    instance = op.create_table(
        "instance",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
    )
    op.bulk_insert(instance, [{"id": 1, "number": 0}])


def _jobs() -> None:
    op.create_table(
        "job",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("job_id", sa.String(64), nullable=False),
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
        sa.PrimaryKeyConstraint("number", name="pk_job"),
        sa.UniqueConstraint("job_id", name="uq_job_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_scope", "job", ["asset", "organisation"])
    op.create_index("ix_job_state", "job", ["state"])
    op.create_table(
        "consent",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("cohort", sa.Text, nullable=False),
        sa.Column("given_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_consent"),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name="fk_consent_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_job_id", "consent", ["job_id"])


def _sums() -> None:
    op.create_table(
        "seal",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("sealed_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "round", "attempt", name="pk_seal"),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name="fk_seal_job_id"),
    )
    op.create_table(
        "release",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("organisation", sa.String(512), nullable=False),
        sa.Column("rule", sa.String(16), nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("question", sa.LargeBinary, nullable=False),
        sa.Column("roster", sa.LargeBinary, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("released_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "round", name="pk_release"),
        sa.ForeignKeyConstraint(["job_id"], ["job.job_id"], name="fk_release_job_id"),
    )
    op.create_index("ix_release_scope", "release", ["asset", "organisation"])
