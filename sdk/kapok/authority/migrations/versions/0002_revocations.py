"""Revoked certificates, and the numbers of the lists of them that were signed.

Revision 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "revocations",
        sa.Column("serial", sa.String(40), sa.ForeignKey("certificates.serial"), primary_key=True),
        sa.Column("revoked_at", sa.Float, nullable=False),
    )
    op.create_table(
        "revocation_lists",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("signed_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("revocation_lists")
    op.drop_table("revocations")
