"""Apps that officers have approved by hand.

Revision 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "app_approval",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("app", sa.String(64), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("approved_at", sa.Float(53), nullable=False),
        sa.Column("approved_by", sa.String(128), nullable=False),
        sa.Column("withdrawn_at", sa.Float(53), nullable=True),
        sa.Column("withdrawn_by", sa.String(128), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number", name="pk_app_approval"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_app_approval_app", "app_approval", ["app"])


def downgrade() -> None:
    """Forget the approvals."""
    op.drop_index("ix_app_approval_app", table_name="app_approval")
    op.drop_table("app_approval")
