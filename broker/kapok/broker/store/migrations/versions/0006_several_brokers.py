"""Broker processes on one store: who is there, which nodes they have, what each does; and open inquiries.

Revision 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Uploads of before belong to no process that runs."""
    op.create_table(
        "broker",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_broker"),
    )
    op.create_table(
        "presence",
        sa.Column("broker", sa.String(64), nullable=False),
        sa.Column("node", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("broker", "node", name="pk_presence"),
        sa.ForeignKeyConstraint(["broker"], ["broker.id"], name="fk_presence_broker", ondelete="CASCADE"),
    )
    op.create_table(
        "lease",
        sa.Column("work", sa.String(64), nullable=False),
        sa.Column("broker", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("work", name="pk_lease"),
        sa.ForeignKeyConstraint(["broker"], ["broker.id"], name="fk_lease_broker", ondelete="CASCADE"),
    )
    op.create_index("ix_lease_broker", "lease", ["broker"])
    op.create_table(
        "inquiry",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("broker", sa.String(64), nullable=False),
        sa.Column("organisation", sa.String(512), nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_inquiry"),
        sa.ForeignKeyConstraint(["broker"], ["broker.id"], name="fk_inquiry_broker", ondelete="CASCADE"),
    )
    op.create_index("ix_inquiry_broker", "inquiry", ["broker"])
    op.create_table(
        "inquiry_node",
        sa.Column("inquiry", sa.String(64), nullable=False),
        sa.Column("node", sa.String(512), nullable=False),
        sa.Column("opinion", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("inquiry", "node", name="pk_inquiry_node"),
        sa.ForeignKeyConstraint(
            ["inquiry"], ["inquiry.id"], name="fk_inquiry_node_inquiry", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_inquiry_node_node", "inquiry_node", ["node"])
    op.add_column("sealed_vector", sa.Column("broker", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("sealed_vector", "broker")
    for table in ("inquiry_node", "inquiry", "lease", "presence", "broker"):
        op.drop_table(table)
