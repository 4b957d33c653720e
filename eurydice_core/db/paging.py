"""Walks a long table from any place in it, newest first, however it changes meanwhile.

Places are positions, not row numbers: rows that are added at the head or removed
anywhere never make a page repeat or skip another row.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, asc, desc, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from eurydice_core.db.tables import Base

__all__ = ["Keyset", "Position", "within"]

Row = TypeVar("Row", bound=Base)
Order = tuple[Any, ...]  # what `order_by` takes


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order: newest first and, of one instant, the smallest id first."""

    created_at: datetime
    id: uuid.UUID


def within(
    column: InstrumentedAttribute[Any], after: datetime | None, before: datetime | None
) -> list[ColumnElement[bool]]:
    """Return the conditions of a time between two bounds, both inclusive, each optional."""
    conditions: list[ColumnElement[bool]] = []
    if after is not None:
        conditions.append(column >= after)
    if before is not None:
        conditions.append(column <= before)
    return conditions


class Keyset(Generic[Row]):
    """The rows of a table that meet some conditions; it has `created_at` and a UUID `id`."""

    def __init__(self, table: type[Row], conditions: Sequence[ColumnElement[bool]]) -> None:
        self._table = table
        self._conditions = conditions
        columns: Any = table
        self._created_at: InstrumentedAttribute[datetime] = columns.created_at
        self._id: InstrumentedAttribute[uuid.UUID] = columns.id
        self._downwards: Order = (desc(self._created_at), asc(self._id))
        self._upwards: Order = (asc(self._created_at), desc(self._id))

    def newest(self, session: Session) -> Position | None:
        """Return the first position, None if there are no rows."""
        return self._end(session, self._downwards)

    def oldest(self, session: Session) -> Position | None:
        """Return the last position, None if there are no rows."""
        return self._end(session, self._upwards)

    def count(self, session: Session, head: Position) -> int:
        """Return how many rows there are from `head` on."""
        query = select(func.count()).select_from(self._table)
        return session.scalar(query.where(*self._conditions, self._from(head))) or 0

    def at(self, session: Session, first: Position, *, skip: int, limit: int) -> Sequence[Row]:
        """Return rows from `first` on, itself included."""
        return self._rows(session, self._downwards, self._from(first), skip=skip, limit=limit)

    def after(self, session: Session, last: Position, *, skip: int, limit: int) -> Sequence[Row]:
        """Return rows that follow `last`."""
        return self._rows(session, self._downwards, self._after(last), skip=skip, limit=limit)

    def before(
        self, session: Session, first: Position, *, head: Position, skip: int, limit: int
    ) -> Sequence[Row]:
        """Return the rows that lead up to `first`, none of them newer than `head`."""
        leading = and_(self._before(first), self._from(head))
        return self._rows(session, self._upwards, leading, skip=skip, limit=limit)[::-1]

    def _end(self, session: Session, order: Order) -> Position | None:
        query = select(self._created_at, self._id).where(*self._conditions).order_by(*order)
        row = session.execute(query.limit(1)).first()
        return None if row is None else Position(row[0], row[1])

    def _rows(
        self,
        session: Session,
        order: Order,
        place: ColumnElement[bool],
        *,
        skip: int,
        limit: int,
    ) -> Sequence[Row]:
        query = select(self._table).where(*self._conditions, place).order_by(*order)
        return session.scalars(query.offset(skip).limit(limit)).all()

    # The first term of each is implied by the second: it is what an index can use.

    def _after(self, position: Position) -> ColumnElement[bool]:
        return and_(
            self._created_at <= position.created_at,
            or_(self._created_at < position.created_at, self._id > position.id),
        )

    def _from(self, position: Position) -> ColumnElement[bool]:
        return and_(
            self._created_at <= position.created_at,
            or_(self._created_at < position.created_at, self._id >= position.id),
        )

    def _before(self, position: Position) -> ColumnElement[bool]:
        return and_(
            self._created_at >= position.created_at,
            or_(self._created_at > position.created_at, self._id < position.id),
        )
