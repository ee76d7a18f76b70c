"""Jobs that wait for their turn: nobody is asked before.

Revision 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark; every job that is there has had its turn."""
    op.add_column("job", sa.Column("at_work", sa.Boolean, nullable=False, server_default=sa.true()))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("job", "at_work")
