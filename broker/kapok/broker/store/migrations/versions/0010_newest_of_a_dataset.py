"""An organisation's newest jobs in a dataset, and whose an upload is, are found without a look at others.

Revision 0010.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index both."""
    op.create_index("ix_job_dataset_organisation_ordinal", "job", ["dataset", "organisation", "ordinal"])
    op.create_index("ix_parameters_upload", "parameters", ["upload"])


def downgrade() -> None:
    """Index neither."""
    op.drop_index("ix_parameters_upload", table_name="parameters")
    op.drop_index("ix_job_dataset_organisation_ordinal", table_name="job")
