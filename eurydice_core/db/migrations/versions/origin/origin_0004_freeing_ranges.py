"""The cleaner claims ranges before it deletes their bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "origin_0004"
down_revision = "origin_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column with a constant default, which neither database rewrites the table for."""
    op.add_column(
        "outgoing_ranges",
        sa.Column("freeing", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
