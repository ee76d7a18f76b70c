"""Jobs of several rounds: which round a job is in, and the parameters of each later one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every job so far is in its first round."""
    op.add_column("job", sa.Column("round", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("event", sa.Column("round", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "parameters",
        sa.Column("attempt", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("attempt", name="pk_parameters"),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempt.id"], name="fk_parameters_attempt", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Jobs of several rounds are not known any more."""
    op.drop_table("parameters")
    op.drop_column("event", "round")
    op.drop_column("job", "round")
