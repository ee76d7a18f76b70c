"""Parameters of rounds are kept in chunks: those of a model are long."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What there is so far is one chunk each, kept under the hash that it was signed for."""
    op.create_table(
        "parameters_chunk",
        sa.Column("upload", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("upload", "number", name="pk_parameters_chunk"),
    )
    op.add_column("parameters", sa.Column("upload", sa.String(64), nullable=False, server_default=""))
    op.add_column("parameters", sa.Column("chunks", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE parameters SET upload = CAST(attempt AS VARCHAR(64)), chunks = 1 WHERE length(ciphertext) > 0"
    )
    op.execute(
        "INSERT INTO parameters_chunk (upload, number, body) "
        "SELECT upload, 0, ciphertext FROM parameters WHERE length(ciphertext) > 0"
    )
    op.drop_column("parameters", "ciphertext")


def downgrade() -> None:
    """Rounds that wait for their nodes have no parameters any more."""
    op.drop_column("parameters", "chunks")
    op.drop_column("parameters", "upload")
    op.add_column("parameters", sa.Column("ciphertext", sa.LargeBinary(), nullable=False, server_default=""))
    op.drop_table("parameters_chunk")
