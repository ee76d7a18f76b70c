"""The register: tokens given out, certificates issued."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(400), nullable=False, index=True),
        sa.Column("key_fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("issued_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("secret_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("name", sa.String(400), nullable=False, index=True),
        sa.Column("hosts", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("spent_at", sa.Float, nullable=True),
        sa.Column("spent_key", sa.LargeBinary(32), nullable=True),
        sa.Column("serial", sa.String(40), sa.ForeignKey("certificates.serial"), nullable=True),
    )
