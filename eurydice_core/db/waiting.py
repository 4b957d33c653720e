"""How much of each user waits to be sent: kept by triggers, as adding up a million ranges is slow.

Whoever adds ranges, takes them out or puts them back is counted. On PostgreSQL each
connection counts in rows of its own, so that nobody waits for another's transaction, and
listeners are told that there is something to send.
"""

from __future__ import annotations

import uuid
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from eurydice_core.db.tables import Base

__all__ = ["QUEUE_CHANNEL", "WaitingCount", "install_waiting"]

SHARDS = 64  # rows of one user at most
QUEUE_CHANNEL: Final = "eurydice_queue"


class WaitingCount(Base):
    """A part of what a user has waiting."""

    __tablename__ = "outgoing_waiting"

    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(primary_key=True)
    ranges: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)


ADD = """INSERT INTO outgoing_waiting (user_id, shard, ranges, bytes)
        VALUES ({row}.user_id, 0, {sign}1, {sign}{row}.size)
        ON CONFLICT (user_id, shard) DO UPDATE
        SET ranges = ranges + excluded.ranges, bytes = bytes + excluded.bytes"""
SQLITE = tuple(
    statement
    for name, event, condition, row, sign in (
        ("queued", "INSERT", "NEW.state = 'PENDING'", "NEW", ""),
        (
            "requeued",
            "UPDATE OF state",
            "OLD.state != 'PENDING' AND NEW.state = 'PENDING'",
            "NEW",
            "",
        ),
        ("done", "UPDATE OF state", "OLD.state = 'PENDING' AND NEW.state != 'PENDING'", "OLD", "-"),
        ("deleted", "DELETE", "OLD.state = 'PENDING'", "OLD", "-"),
    )
    for statement in (
        f"DROP TRIGGER IF EXISTS outgoing_waiting_{name}",
        f"CREATE TRIGGER outgoing_waiting_{name} AFTER {event} ON outgoing_ranges"
        f" WHEN {condition} BEGIN {ADD.format(row=row, sign=sign)}; END",
    )
)
# Only what is named as a transition table may be read, so each event has a function of its own.
SUM = """INSERT INTO outgoing_waiting AS known (user_id, shard, ranges, bytes)
        SELECT user_id, pg_backend_pid() % {shards}, sum(number), sum(size)
        FROM ({changes}) AS change GROUP BY user_id
        HAVING sum(number) <> 0 OR sum(size) <> 0 ORDER BY user_id
        ON CONFLICT (user_id, shard) DO UPDATE
        SET ranges = known.ranges + excluded.ranges, bytes = known.bytes + excluded.bytes"""
ADDED = "SELECT user_id, 1 AS number, size FROM added WHERE state = 'PENDING'"
REMOVED = "SELECT user_id, -1 AS number, -size AS size FROM removed WHERE state = 'PENDING'"
NEW, OLD = "NEW TABLE AS added", "OLD TABLE AS removed"
POSTGRESQL = tuple(
    statement
    for event, tables, changes in (
        ("INSERT", NEW, ADDED),
        ("UPDATE", f"{NEW} {OLD}", f"{ADDED} UNION ALL {REMOVED}"),
        ("DELETE", OLD, REMOVED),
    )
    for statement in (
        f"""CREATE OR REPLACE FUNCTION outgoing_waiting_{event.lower()}() RETURNS trigger
        LANGUAGE plpgsql AS $$ BEGIN
        {SUM.format(shards=SHARDS, changes=changes)};
        {f"IF FOUND THEN PERFORM pg_notify('{QUEUE_CHANNEL}', ''); END IF;" * (event != "DELETE")}
        RETURN NULL; END $$""",
        f"DROP TRIGGER IF EXISTS outgoing_waiting_{event.lower()} ON outgoing_ranges",
        f"""CREATE TRIGGER outgoing_waiting_{event.lower()} AFTER {event} ON outgoing_ranges
        REFERENCING {tables} FOR EACH STATEMENT
        EXECUTE FUNCTION outgoing_waiting_{event.lower()}()""",
    )
)
FIRST_COUNT = """INSERT INTO outgoing_waiting (user_id, shard, ranges, bytes)
    SELECT user_id, 0, count(*), sum(size) FROM outgoing_ranges
    WHERE state = 'PENDING' AND NOT EXISTS (SELECT 1 FROM outgoing_waiting) GROUP BY user_id"""


def install_waiting(session: Session) -> None:
    """Have the origin's database count from now on; what waits already is counted once."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    for statement in (*(POSTGRESQL if is_postgresql else SQLITE), FIRST_COUNT):
        session.execute(text(statement))
