"""Folded names for searches, lists counted by state, indexes of dates.

The counters, their triggers, the index of names and that of lists are not part of this:
`eurydice migrate` makes them each time it runs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from eurydice_core.db.folding import fold_names

revision = "destination_0002"
down_revision = "destination_0001"


def upgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_incoming_transferables_list")
    op.add_column(
        "incoming_transferables",
        sa.Column("folded_name", sa.String(length=765), nullable=False, server_default=""),
    )
    fold_names(op.get_bind(), "incoming_transferables")
    op.create_index(
        "ix_incoming_transferables_finished",
        "incoming_transferables",
        ["profile", "finished_at", "created_at", "id"],
    )
    on_rows = "" if op.get_bind().dialect.name == "sqlite" else " ON incoming_transferables"
    for event in ("added", "removed"):
        op.execute(f"DROP TRIGGER IF EXISTS incoming_counts_{event}{on_rows}")
    op.drop_table("incoming_counts")
    op.create_table(
        "incoming_counts",
        sa.Column("profile", sa.LargeBinary(length=8), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile"],
            ["origin_profiles.profile"],
            name="fk_incoming_counts_profile",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("profile", "state", "shard", name="pk_incoming_counts"),
    )
