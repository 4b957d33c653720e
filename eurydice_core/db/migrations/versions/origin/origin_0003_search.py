"""Folded names for searches, lists counted by state, indexes of dates.

The counters, their triggers, the index of names and that of lists are not part of this:
`eurydice migrate` makes them each time it runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from eurydice_core.db.folding import fold_names

revision = "origin_0003"
down_revision = "origin_0002"


def upgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_outgoing_transferables_list")
    op.add_column(
        "outgoing_transferables",
        sa.Column("folded_name", sa.String(length=765), nullable=False, server_default=""),
    )
    fold_names(op.get_bind(), "outgoing_transferables")
    op.create_index(
        "ix_outgoing_transferables_submitted",
        "outgoing_transferables",
        ["user_id", "submission_succeeded_at", "created_at", "id"],
    )
    whole = sa.text("submission_succeeded_at IS NOT NULL AND size = bytes_transferred")
    op.create_index(
        "ix_outgoing_transferables_finished",
        "outgoing_transferables",
        ["user_id", "last_range_finished_at", "created_at", "id"],
        postgresql_where=whole,
        sqlite_where=whole,
    )
    on_rows = "" if op.get_bind().dialect.name == "sqlite" else " ON outgoing_transferables"
    for event in ("added", "removed"):
        op.execute(f"DROP TRIGGER IF EXISTS outgoing_counts_{event}{on_rows}")
    op.drop_table("outgoing_counts")
    op.create_table(
        "outgoing_counts",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_outgoing_counts_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "state", "shard", name="pk_outgoing_counts"),
    )
