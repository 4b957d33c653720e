"""A BLAKE3 digest for each range; ranges queued before have none and are sent unchecked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "origin_0002"
down_revision = "origin_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a nullable column, which neither database rewrites the table for."""
    op.add_column("outgoing_ranges", sa.Column("digest", sa.LargeBinary(32), nullable=True))
