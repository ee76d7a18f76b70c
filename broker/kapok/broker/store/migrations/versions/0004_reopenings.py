"""Reopenings of cohorts, their signatures and what nodes answered; and the dataset of each job.

Revision 0004.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and read each job's dataset out of its specification."""
    op.create_table(
        "reopening",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("receiver", sa.String(512), nullable=False),
        sa.Column("proposer", sa.String(512), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("serial", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Float(53), nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("proposed_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reopening"),
    )
    op.create_index("ix_reopening_dataset", "reopening", ["dataset"])
    op.create_table(
        "reopening_signature",
        sa.Column("reopening", sa.String(64), nullable=False),
        sa.Column("officer", sa.String(512), nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("signed_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("reopening", "officer", name="pk_reopening_signature"),
        sa.ForeignKeyConstraint(
            ["reopening"], ["reopening.id"], name="fk_reopening_signature_reopening", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "reopening_node",
        sa.Column("reopening", sa.String(64), nullable=False),
        sa.Column("node", sa.String(512), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("answer", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("reopening", "node", name="pk_reopening_node"),
        sa.ForeignKeyConstraint(
            ["reopening"], ["reopening.id"], name="fk_reopening_node_reopening", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_reopening_node_node", "reopening_node", ["node"])
    op.add_column("job", sa.Column("dataset", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_job_dataset_ordinal", "job", ["dataset", "ordinal"])
    job = sa.table("job", sa.column("id"), sa.column("payload"), sa.column("dataset"))
    connection = op.get_bind()
    for job_id, payload in connection.execute(sa.select(job.c.id, job.c.payload)).all():
        dataset = json.loads(payload)["dataset"]
        connection.execute(job.update().where(job.c.id == job_id).values(dataset=dataset))


def downgrade() -> None:
    """Forget the reopenings."""
    op.drop_index("ix_job_dataset_ordinal", table_name="job")
    op.drop_column("job", "dataset")
    op.drop_table("reopening_node")
    op.drop_table("reopening_signature")
    op.drop_table("reopening")
