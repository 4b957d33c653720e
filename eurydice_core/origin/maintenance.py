"""Maintenance: the sender holds back while the link or the other side is worked on."""

from __future__ import annotations

from loguru import logger

from eurydice_core.db.engine import Database
from eurydice_core.db.facts import MAINTENANCE, get_fact, set_fact

__all__ = ["in_maintenance", "set_maintenance"]


def in_maintenance(database: Database) -> bool:
    """Tell whether the sender is held back."""
    with database.read() as session:
        return bool(get_fact(session, MAINTENANCE))


def set_maintenance(database: Database, on: bool, by: str) -> None:
    """Hold the sender back, or let it go on, from its next packet."""
    with database.write() as session:
        set_fact(session, MAINTENANCE, on)
    logger.info("maintenance switched {} by {}", "on" if on else "off", by)
