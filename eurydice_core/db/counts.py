"""What keeps long lists fast: counters, since counting a million takes a second, and indexes.

Triggers count whatever adds or removes rows. They are not in the migrations, nor are the
indexes in the order of lists: alembic knows neither those nor, on SQLite, descending ones.
On PostgreSQL each connection counts in a row
of its own, so that nobody who adds to the same list waits for another's transaction.
"""

from __future__ import annotations

import uuid

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from eurydice_core.db.tables import Base
from eurydice_core.model.states import Side

__all__ = ["LIST_INDEXES", "IncomingCount", "OutgoingCount", "install_lists"]

SHARDS = 64  # rows of one list at most


class OutgoingCount(Base):
    """A part of how many transferables a user has at the origin."""

    __tablename__ = "outgoing_counts"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)


class IncomingCount(Base):
    """A part of how many transferables a profile has at the destination."""

    __tablename__ = "incoming_counts"

    profile: Mapped[bytes] = mapped_column(
        LargeBinary(8),
        ForeignKey("origin_profiles.profile", ondelete="CASCADE"),
        primary_key=True,
    )
    shard: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)


KINDS = ("list", "list_by_state")
NAMES = {
    Side.ORIGIN: {"rows": "outgoing_transferables", "counts": "outgoing_counts", "of": "user_id"},
    Side.DESTINATION: {
        "rows": "incoming_transferables",
        "counts": "incoming_counts",
        "of": "profile",
    },
}
SQLITE = (
    "DROP TRIGGER IF EXISTS {counts}_added",
    """CREATE TRIGGER {counts}_added AFTER INSERT ON {rows} BEGIN
        INSERT INTO {counts} ({of}, shard, total) VALUES (NEW.{of}, 0, 1)
        ON CONFLICT ({of}, shard) DO UPDATE SET total = total + 1;
    END""",
    "DROP TRIGGER IF EXISTS {counts}_removed",
    """CREATE TRIGGER {counts}_removed AFTER DELETE ON {rows} BEGIN
        UPDATE {counts} SET total = total - 1 WHERE {of} = OLD.{of} AND shard = 0;
    END""",
)
POSTGRESQL = (
    # In order, so that two of these never wait for each other in a circle.
    """CREATE OR REPLACE FUNCTION {counts}_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO {counts} AS known ({of}, shard, total)
        SELECT {of}, pg_backend_pid() % {shards},
            CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
        FROM changed GROUP BY {of} ORDER BY {of}
        ON CONFLICT ({of}, shard) DO UPDATE SET total = known.total + excluded.total;
        RETURN NULL;
    END $$""",
    "DROP TRIGGER IF EXISTS {counts}_added ON {rows}",
    """CREATE TRIGGER {counts}_added AFTER INSERT ON {rows}
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {counts}_change()""",
    "DROP TRIGGER IF EXISTS {counts}_removed ON {rows}",
    """CREATE TRIGGER {counts}_removed AFTER DELETE ON {rows}
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {counts}_change()""",
)
INDEXES = (
    """CREATE INDEX IF NOT EXISTS ix_{rows}_list ON {rows} ({of}, created_at DESC, id)""",
    """CREATE INDEX IF NOT EXISTS ix_{rows}_list_by_state
        ON {rows} ({of}, state, created_at DESC, id)""",
)
LIST_INDEXES = [f"ix_{names['rows']}_{of}" for names in NAMES.values() for of in KINDS]
FIRST_COUNT = """INSERT INTO {counts} ({of}, shard, total)
    SELECT {of}, 0, count(*) FROM {rows} WHERE NOT EXISTS (SELECT 1 FROM {counts}) GROUP BY {of}"""


def install_lists(session: Session, side: Side) -> None:
    """Have the database count from now on, and keep lists in order.

    What is there already is counted once.
    """
    names = {**NAMES[side], "shards": SHARDS}
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    for statement in (*INDEXES, *(POSTGRESQL if is_postgresql else SQLITE)):
        session.execute(text(statement.format(**names)))
    session.execute(text(FIRST_COUNT.format(**names)))
