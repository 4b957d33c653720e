# ruff: noqa: S608 (the statements have the names of our own tables in them)
"""Counters and indexes for long lists, since counting a million rows takes a second.

Triggers count the rows of each owner and state, whichever statement changes them. They are not in
the migrations, nor are the indexes in the order of lists: alembic knows neither those nor, on
SQLite, descending ones. On PostgreSQL each connection counts in a row of its own, so that
nobody who adds to the same list waits for another's transaction.
"""

from __future__ import annotations

import uuid

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from eurydice_core.db.names import install_names
from eurydice_core.db.tables import Base, text_enum
from eurydice_core.model.states import IncomingState, OutgoingState, Side

__all__ = ["LIST_INDEXES", "IncomingCount", "OutgoingCount", "install_lists"]

SHARDS = 64  # rows of one list at most


class OutgoingCount(Base):
    """A part of how many transferables of one state a user has at the origin."""

    __tablename__ = "outgoing_counts"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    state: Mapped[OutgoingState] = mapped_column(text_enum(OutgoingState), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)


class IncomingCount(Base):
    """A part of how many transferables of one state a profile has at the destination."""

    __tablename__ = "incoming_counts"

    profile: Mapped[bytes] = mapped_column(
        LargeBinary(8),
        ForeignKey("origin_profiles.profile", ondelete="CASCADE"),
        primary_key=True,
    )
    state: Mapped[IncomingState] = mapped_column(text_enum(IncomingState), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)


KINDS = ("list", "states", "list_by_state", "names")
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
        INSERT INTO {counts} ({of}, state, shard, total) VALUES (NEW.{of}, NEW.state, 0, 1)
        ON CONFLICT ({of}, state, shard) DO UPDATE SET total = total + 1;
    END""",
    "DROP TRIGGER IF EXISTS {counts}_changed",
    """CREATE TRIGGER {counts}_changed AFTER UPDATE OF state ON {rows}
    WHEN OLD.state != NEW.state BEGIN
        UPDATE {counts} SET total = total - 1
        WHERE {of} = OLD.{of} AND state = OLD.state AND shard = 0;
        INSERT INTO {counts} ({of}, state, shard, total) VALUES (NEW.{of}, NEW.state, 0, 1)
        ON CONFLICT ({of}, state, shard) DO UPDATE SET total = total + 1;
    END""",
    "DROP TRIGGER IF EXISTS {counts}_removed",
    """CREATE TRIGGER {counts}_removed AFTER DELETE ON {rows} BEGIN
        UPDATE {counts} SET total = total - 1
        WHERE {of} = OLD.{of} AND state = OLD.state AND shard = 0;
    END""",
)
EVENTS = {"added": "INSERT", "changed": "UPDATE", "removed": "DELETE"}
ADDED = "SELECT {of}, state, 1 AS number FROM added"
REMOVED = "SELECT {of}, state, -1 AS number FROM removed"
NEW, OLD = "NEW TABLE AS added", "OLD TABLE AS removed"
# Only a transition table that the trigger names may be read, so each event has a function of
# its own. Rows are counted in order, so that two transactions never wait for each other.
POSTGRESQL = tuple(
    statement
    for event, tables, changes in (
        ("added", NEW, ADDED),
        ("changed", f"{NEW} {OLD}", f"{ADDED} UNION ALL {REMOVED}"),
        ("removed", OLD, REMOVED),
    )
    for statement in (
        f"""CREATE OR REPLACE FUNCTION {{counts}}_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO {{counts}} AS known ({{of}}, state, shard, total)
        SELECT {{of}}, state, pg_backend_pid() % {{shards}}, sum(number)
        FROM ({changes}) AS change GROUP BY {{of}}, state HAVING sum(number) <> 0
        ORDER BY {{of}}, state
        ON CONFLICT ({{of}}, state, shard) DO UPDATE SET total = known.total + excluded.total;
        RETURN NULL;
    END $$""",
        f"DROP TRIGGER IF EXISTS {{counts}}_{event} ON {{rows}}",
        f"""CREATE TRIGGER {{counts}}_{event} AFTER {EVENTS[event]} ON {{rows}}
        REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {{counts}}_{event}()""",
    )
)
# The folded name is in the index for searches of one or two characters, which read all names.
INDEXES = {
    "sqlite": """CREATE INDEX IF NOT EXISTS ix_{rows}_list
        ON {rows} ({of}, created_at DESC, id, folded_name)""",
    "postgresql": """CREATE INDEX IF NOT EXISTS ix_{rows}_list
        ON {rows} ({of}, created_at DESC, id) INCLUDE (folded_name)""",
}
STATE_INDEXES = {
    "sqlite": """CREATE INDEX IF NOT EXISTS ix_{rows}_states
        ON {rows} ({of}, state, created_at DESC, id, folded_name)""",
    "postgresql": """CREATE INDEX IF NOT EXISTS ix_{rows}_states
        ON {rows} ({of}, state, created_at DESC, id) INCLUDE (folded_name)""",
}
OLD_INDEX = "DROP INDEX IF EXISTS ix_{rows}_list_by_state"
"""An index without the folded name."""
LIST_INDEXES = [f"ix_{names['rows']}_{of}" for names in NAMES.values() for of in KINDS]
FIRST_COUNT = """INSERT INTO {counts} ({of}, state, shard, total)
    SELECT {of}, state, 0, count(*) FROM {rows} WHERE NOT EXISTS (SELECT 1 FROM {counts})
    GROUP BY {of}, state"""


def install_lists(session: Session, side: Side) -> None:
    """Have the database count rows from now on, and keep lists in order.

    Rows that exist already are counted once.
    """
    names = {**NAMES[side], "shards": SHARDS}
    dialect = session.get_bind().dialect.name
    triggers = POSTGRESQL if dialect == "postgresql" else SQLITE
    for statement in (INDEXES[dialect], STATE_INDEXES[dialect], OLD_INDEX, *triggers, FIRST_COUNT):
        session.execute(text(statement.format(**names)))
    install_names(session, NAMES[side]["rows"])
