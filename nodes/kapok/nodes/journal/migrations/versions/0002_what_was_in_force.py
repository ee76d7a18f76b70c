"""What a holder's officer looks up: the policy that a decision was made by, who approved, when it was paused.

Revision 0002. Jobs of before count as tries, and refer to no policy: 0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and the columns that refer to them."""
    op.create_table(
        "in_force",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("policy_hash", sa.String(64), nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("settings_hash", sa.String(64), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_in_force"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pause",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("paused_at", sa.Float(53), nullable=False),
        sa.Column("paused_by", sa.String(128), nullable=False),
        sa.Column("resumed_at", sa.Float(53), nullable=True),
        sa.Column("resumed_by", sa.String(128), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number", name="pk_pause"),
        sqlite_autoincrement=True,
    )
    for table in ("job", "consent", "seal", "release"):
        op.add_column(table, sa.Column("in_force", sa.Integer, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("counted", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("job", sa.Column("rule_number", sa.Integer, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("decided_by", sa.String(128), nullable=False, server_default=""))
    op.add_column("job", sa.Column("decided_at", sa.Float(53), nullable=True))
