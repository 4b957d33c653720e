"""Alembic runs this; the connection and the side come from `eurydice_core.db.schema`."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from eurydice_core.db.schema import belongs_to
from eurydice_core.db.tables import Base, UtcDateTime


def plain_type(kind: str, item: Any, _autogen: object) -> str | Literal[False]:
    """Write our own column types as what they are to the database."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


options = context.config.attributes
context.configure(
    connection=options["connection"],
    target_metadata=Base.metadata,
    include_object=belongs_to(options["side"]),
    render_as_batch=True,  # SQLite alters tables by making them anew
    compare_type=True,
    render_item=plain_type,
)
with context.begin_transaction():
    context.run_migrations()
