"""Leases have a counter of renewals, so that a clock that steps ends none.

Revision ID: origin_0005
Revises: origin_0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "origin_0005"
down_revision = "origin_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the database to this revision."""
    op.add_column(
        "leases", sa.Column("renewals", sa.BigInteger(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    """Bring it back to the one before."""
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_column("renewals")
