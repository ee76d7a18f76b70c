"""What a sealed vector answers, where that is more than its job's question: an exchange of a training.

Revision 0006. What was sealed before answers the question of its job.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column."""
    op.add_column(
        "seal", sa.Column("question", sa.LargeBinary, nullable=False, server_default=sa.text("x''"))
    )


def downgrade() -> None:
    """Forget it: no release of before needs it."""
    op.drop_column("seal", "question")
