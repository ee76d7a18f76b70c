"""The first tables.

Revision 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _catalogue()
    _jobs()
    _what_jobs_gather()
    _attempts()
    _vectors()


def _catalogue() -> None:
    op.create_table(
        "dataset",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("publisher", sa.String(length=512), nullable=False),
        sa.Column("published_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_dataset")),
    )
    op.create_index(op.f("ix_dataset_name"), "dataset", ["name"], unique=False)
    op.create_index(op.f("ix_dataset_publisher"), "dataset", ["publisher"], unique=False)
    op.create_table(
        "membership",
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=512), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.hash"], name=op.f("fk_membership_dataset")),
        sa.PrimaryKeyConstraint("dataset", "node", name=op.f("pk_membership")),
    )


def _jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("analyst", sa.String(length=512), nullable=False),
        sa.Column("organisation", sa.String(length=512), nullable=False),
        sa.Column("specification", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("submitted_at", sa.Float(precision=53), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.Column("gathering_since", sa.Float(precision=53), nullable=False),
        sa.Column("deadline", sa.Float(precision=53), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_again", sa.Boolean(), nullable=False),
        sa.Column("bytes_received", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("ordinal", name=op.f("uq_job_ordinal")),
    )
    op.create_index(op.f("ix_job_analyst"), "job", ["analyst"], unique=False)
    op.create_index(op.f("ix_job_organisation"), "job", ["organisation"], unique=False)
    op.create_index(op.f("ix_job_state"), "job", ["state"], unique=False)
    op.create_table(
        "job_member",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=512), nullable=False),
        sa.Column("organisation", sa.String(length=512), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("left_behind", sa.Boolean(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("fault", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_job_member_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "node", name=op.f("pk_job_member")),
    )
    op.create_index(op.f("ix_job_member_node"), "job_member", ["node"], unique=False)


def _what_jobs_gather() -> None:
    op.create_table(
        "consent",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=512), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("cohorts", sa.Text(), nullable=False),
        sa.Column("standing", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_consent_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "node", "digest", name=op.f("pk_consent")),
    )
    op.create_table(
        "event",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("party", sa.String(length=512), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_event_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_job"), "event", ["job"], unique=False)


def _attempts() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.Float(precision=53), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.Column("folded", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.id"], name=op.f("fk_attempt_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("job", "round", "number", name=op.f("uq_attempt_job_round_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_attempt_state"), "attempt", ["state"], unique=False)
    op.create_table(
        "roster_member",
        sa.Column("attempt", ROW_NUMBER, nullable=False),
        sa.Column("node", sa.String(length=512), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempt.id"], name=op.f("fk_roster_member_attempt"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", "node", name=op.f("pk_roster_member")),
    )
    op.create_index(op.f("ix_roster_member_scope"), "roster_member", ["scope"], unique=False)
    op.create_table(
        "release",
        sa.Column("attempt", ROW_NUMBER, nullable=False),
        sa.Column("node", sa.String(length=512), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempt.id"], name=op.f("fk_release_attempt"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", "node", name=op.f("pk_release")),
    )


def _vectors() -> None:
    op.create_table(
        "sealed_vector",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("attempt", ROW_NUMBER, nullable=False),
        sa.Column("node", sa.String(length=512), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempt.id"], name=op.f("fk_sealed_vector_attempt"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealed_vector")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sealed_vector_attempt_node", "sealed_vector", ["attempt", "node"], unique=False)
    op.create_table(
        "sealed_chunk",
        sa.Column("vector", ROW_NUMBER, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vector"], ["sealed_vector.id"], name=op.f("fk_sealed_chunk_vector"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("vector", "number", name=op.f("pk_sealed_chunk")),
    )
    op.create_table(
        "sum_chunk",
        sa.Column("attempt", ROW_NUMBER, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempt.id"], name=op.f("fk_sum_chunk_attempt"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", "number", name=op.f("pk_sum_chunk")),
    )
