"""Jobs of an analyst, and of an organisation, are counted by state without a look at what was signed.

Revision 0009.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index both by state as well."""
    op.drop_index("ix_job_analyst", table_name="job")
    op.drop_index("ix_job_organisation", table_name="job")
    op.create_index("ix_job_analyst_state", "job", ["analyst", "state"])
    op.create_index("ix_job_organisation_state", "job", ["organisation", "state", "ordinal"])


def downgrade() -> None:
    """Index them alone."""
    op.drop_index("ix_job_organisation_state", table_name="job")
    op.drop_index("ix_job_analyst_state", table_name="job")
    op.create_index("ix_job_organisation", "job", ["organisation"])
    op.create_index("ix_job_analyst", "job", ["analyst"])
