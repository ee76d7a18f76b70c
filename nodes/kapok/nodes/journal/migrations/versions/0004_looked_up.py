"""What a judgement looks up, however much was asked before: tries counted once, releases found by index.

Revision 0004. Tries are counted over an asset and an organisation; those of before are counted here.
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
    """Make the column and fill it, and the indexes: by a day's first try, by sets of names, by rule."""
    op.add_column("job", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.execute(_COUNTED)
    op.create_index("ix_job_asked", "job", ["asset", "organisation", "asked_at"])
    op.drop_index("ix_release_scope", table_name="release")
    op.create_index("ix_release_rule", "release", ["asset", "organisation", "rule"])
    op.create_index("ix_release_cohort", "release", ["asset", "organisation", "reopening", "names"])
    op.create_index(
        "ix_release_question", "release", ["asset", "organisation", "reopening", "question", "names"]
    )


def downgrade() -> None:
    """Forget the numbers: they can be counted again."""
    for name in ("ix_release_rule", "ix_release_cohort", "ix_release_question"):
        op.drop_index(name, table_name="release")
    op.create_index("ix_release_scope", "release", ["asset", "organisation"])
    op.drop_index("ix_job_asked", table_name="job")
    op.drop_column("job", "tries")
