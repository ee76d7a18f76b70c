"""By which approval by hand an app has worked for what was sealed.

Revision 0007. What was sealed before by one is not released any more: nobody knows which it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column."""
    op.add_column("seal", sa.Column("app", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("seal", "app")
