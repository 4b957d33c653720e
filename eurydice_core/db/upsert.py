"""INSERT ... ON CONFLICT, which both databases have and SQL does not."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from eurydice_core.db.tables import Base

__all__ = ["insert"]


def insert(session: Session, table: type[Base]) -> Any:
    """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
