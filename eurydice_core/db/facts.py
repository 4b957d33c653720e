"""What a side knows of itself: small values by name, one row each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from eurydice_core.db.tables import Fact
from eurydice_core.db.upsert import insert

__all__ = [
    "DATABASE_CHECKED_AT",
    "INSTALLATION",
    "LAST_CLEANED_AT",
    "LAST_PACKET_RECEIVED_AT",
    "LAST_PACKET_SENT_AT",
    "MAINTENANCE",
    "add_fact",
    "get_fact",
    "get_time",
    "set_fact",
    "set_time",
]

DATABASE_CHECKED_AT = "database_checked_at"
"""When `/readyz` last wrote this: that it can is the check."""
INSTALLATION = "installation"
"""What tells this database from others."""
MAINTENANCE = "maintenance"
LAST_PACKET_SENT_AT = "last_packet_sent_at"
LAST_PACKET_RECEIVED_AT = "last_packet_received_at"
LAST_CLEANED_AT = "last_cleaned_at"


def get_fact(session: Session, name: str) -> Any:
    """Return a fact's value, None if it was never set."""
    fact = session.get(Fact, name)
    return None if fact is None else fact.value


def set_fact(session: Session, name: str, value: Any) -> None:
    """Set a fact; two that set it at once both succeed, and the later one stays."""
    session.execute(
        insert(session, Fact)
        .values(name=name, value=value)
        .on_conflict_do_update(index_elements=[Fact.name], set_={"value": value})
    )


def add_fact(session: Session, name: str, value: Any) -> Any:
    """Set a fact that was never set; return its value, which may be an earlier one."""
    session.execute(insert(session, Fact).values(name=name, value=value).on_conflict_do_nothing())
    return get_fact(session, name)


def get_time(session: Session, name: str) -> datetime | None:
    """Return a fact that is a point in time."""
    value = get_fact(session, name)
    return None if value is None else datetime.fromisoformat(value)


def set_time(session: Session, name: str, at: datetime) -> None:
    """Set a fact that is a point in time."""
    set_fact(session, name, at.isoformat())
