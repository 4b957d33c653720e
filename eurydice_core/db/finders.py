"""Finds the rows of a list by an index that has another order than the list."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, Select

from eurydice_core.db.names import MOST_IDS, find_ids
from eurydice_core.db.paging import Finder, Values
from eurydice_core.db.tables import Base

__all__ = ["by_index", "by_name"]


def by_name(table: type[Base], term: str) -> Finder:
    """Find rows whose name contains a term."""

    def find(connection: Connection, _values: Values) -> Sequence[uuid.UUID] | None:
        return find_ids(connection, table.__table__, term)  # type: ignore[arg-type]

    return find


def by_index(query: Select[uuid.UUID]) -> Finder:
    """Find rows by a condition that an index meets."""

    def find(connection: Connection, values: Values) -> Sequence[uuid.UUID] | None:
        found = connection.scalars(query.limit(MOST_IDS + 1), values).all()
        return found if len(found) <= MOST_IDS else None

    return find
