"""Jobs are searched by state and last change: an index over both, so that old jobs cost nothing."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index over the state."""
    op.drop_index("ix_job_state", table_name="job")
    op.create_index("ix_job_state_changed_at", "job", ["state", "changed_at"], unique=False)


def downgrade() -> None:
    """Bring the index over the state back."""
    op.drop_index("ix_job_state_changed_at", table_name="job")
    op.create_index("ix_job_state", "job", ["state"], unique=False)
