"""How many tries there were before each job: counted when it comes, not each time that it is judged.

Revision 0004. Tries are counted over an asset and an organisation; those of before are counted once, here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTED = """
UPDATE job SET tries = before.tries FROM (
    SELECT number, COALESCE(SUM(counted) OVER (
        PARTITION BY asset, organisation ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS tries FROM job
) AS before WHERE before.number = job.number
"""


def upgrade() -> None:
    """Make the column and fill it, and the index by which a day's first try is found."""
    op.add_column("job", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.execute(_COUNTED)
    op.create_index("ix_job_asked", "job", ["asset", "organisation", "asked_at"])


def downgrade() -> None:
    """Forget the numbers: they can be counted again."""
    op.drop_index("ix_job_asked", table_name="job")
    op.drop_column("job", "tries")
