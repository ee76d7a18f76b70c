"""Reopenings of cohorts, and under which of them each release was made.

Revision 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. Every release so far was made before any reopening."""
    op.create_table(
        "reopening",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("reopening_id", sa.String(64), nullable=False),
        sa.Column("asset", sa.String(64), nullable=False),
        sa.Column("organisation", sa.String(512), nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("accepted_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_reopening"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reopening_scope", "reopening", ["asset", "organisation", "serial"], unique=True)
    op.add_column(
        "release", sa.Column("reopening", sa.LargeBinary, nullable=False, server_default=sa.text("x''"))
    )


def downgrade() -> None:
    """Forget the reopenings."""
    op.drop_column("release", "reopening")
    op.drop_index("ix_reopening_scope", table_name="reopening")
    op.drop_table("reopening")
