"""Walks a long table from any place in it, newest first, however it changes meanwhile.

Places are positions, not row numbers: rows that are added at the head or removed
anywhere never make a page repeat or skip another row.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    Uuid,
    and_,
    asc,
    bindparam,
    desc,
    func,
    or_,
    select,
    true,
)

from eurydice_core.db.tables import Base, UtcDateTime

__all__ = ["Ends", "Keyset", "KeysetQueries", "Position", "within"]

Order = tuple[Any, ...]  # what `order_by` takes
SKIP: Final = bindparam("skip", type_=Integer)
LIMIT: Final = bindparam("limit", type_=Integer)
AT: Final = bindparam("place_at", type_=UtcDateTime)
ID: Final = bindparam("place_id", type_=Uuid)
HEAD_AT: Final = bindparam("head_at", type_=UtcDateTime)
HEAD_ID: Final = bindparam("head_id", type_=Uuid)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order: newest first and, of one instant, the smallest id first."""

    created_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last position of a list, and how many there are where that is known."""

    newest: Position
    oldest: Position
    total: int | None


def within(
    column: ColumnElement[Any],
    after: datetime | None,
    before: datetime | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of a time between two bounds, both inclusive, each optional."""
    conditions: list[ColumnElement[bool]] = []
    if after is not None:
        conditions.append(column >= after)
    if before is not None:
        conditions.append(column <= before)
    return conditions


class KeysetQueries:
    """The statements that walk the rows of a table that meet some conditions.

    The table has `created_at` and a UUID `id`. Making statements takes longer than running
    them: those of a list that is not filtered are made once, with parameters in place of
    values.
    """

    def __init__(
        self,
        table: type[Base],
        columns: Sequence[str],
        conditions: Sequence[ColumnElement[bool]],
        total: Select[int] | None = None,
    ) -> None:
        """Prepare to read these columns.

        Args:
            table: whose rows.
            columns: by name; `created_at` and `id` among them.
            conditions: that the rows meet.
            total: counts those rows, if something knows how many there are.
        """
        self._table: Table = table.__table__  # type: ignore[assignment]
        self._columns = [self._table.c[name] for name in columns]
        self._conditions = conditions
        self._total = total
        self._created_at = self._table.c.created_at
        self._id = self._table.c.id
        self._downwards: Order = (desc(self._created_at), asc(self._id))
        self._upwards: Order = (asc(self._created_at), desc(self._id))

    @cached_property
    def ends(self) -> Select[Any]:
        """Select both ends and the total, all of one moment."""
        newest, oldest = self._end(self._downwards), self._end(self._upwards)
        total = self._total.scalar_subquery() if self._total is not None else None
        both = newest.join(oldest, true())
        columns = [*newest.c, *oldest.c, *([total] if total is not None else [])]
        return select(*columns).select_from(both)

    @cached_property
    def count(self) -> Select[int]:
        """Count the rows from the head on."""
        query = select(func.count()).select_from(self._table)
        return query.where(*self._conditions, self._from(HEAD_AT, HEAD_ID))

    @cached_property
    def count_newer(self) -> Select[int]:
        """Count the rows before the head."""
        query = select(func.count()).select_from(self._table)
        return query.where(*self._conditions, self._before(HEAD_AT, HEAD_ID))

    @cached_property
    def at(self) -> Select[Any]:
        """Select rows from a place on, itself included."""
        return self._rows(self._downwards, self._from(AT, ID))

    @cached_property
    def after(self) -> Select[Any]:
        """Select rows that follow a place."""
        return self._rows(self._downwards, self._after(AT, ID))

    @cached_property
    def before(self) -> Select[Any]:
        """Select the rows that lead up to a place, the nearest first, none before the head."""
        leading = and_(self._before(AT, ID), self._from(HEAD_AT, HEAD_ID))
        return self._rows(self._upwards, leading)

    def _end(self, order: Order) -> Any:
        query = select(self._created_at, self._id).where(*self._conditions).order_by(*order)
        return query.limit(1).subquery()

    def _rows(self, order: Order, place: ColumnElement[bool]) -> Select[Any]:
        # What is skipped is skipped in the index: nothing else of those rows is read.
        ids = select(self._id).where(*self._conditions, place).order_by(*order)
        page = ids.offset(SKIP).limit(LIMIT).subquery()
        return select(*self._columns).join(page, page.c.id == self._id).order_by(*order)

    # The first term of each is implied by the second: it is what an index can use.

    def _after(self, at: Any, id: Any) -> ColumnElement[bool]:
        return and_(self._created_at <= at, or_(self._created_at < at, self._id > id))

    def _from(self, at: Any, id: Any) -> ColumnElement[bool]:
        return and_(self._created_at <= at, or_(self._created_at < at, self._id >= id))

    def _before(self, at: Any, id: Any) -> ColumnElement[bool]:
        return and_(self._created_at >= at, or_(self._created_at > at, self._id < id))


class Keyset:
    """Rows in their order, from any place in it."""

    def __init__(self, queries: KeysetQueries, values: Mapping[str, object] | None = None) -> None:
        """Use some statements with these values of their parameters."""
        self._queries = queries
        self._values = dict(values or {})

    def ends(self, connection: Connection) -> Ends | None:
        """Return both ends, None if there are no rows."""
        row: Any = connection.execute(self._queries.ends, self._values).first()
        if row is None:
            return None
        total = int(row[4] or 0) if len(row) > 4 else None
        return Ends(Position(row[0], row[1]), Position(row[2], row[3]), total)

    def count(self, connection: Connection, ends: Ends, head: Position) -> int:
        """Return how many rows there are from `head` on."""
        values = {**self._values, "head_at": head.created_at, "head_id": head.id}
        if ends.total is None:
            return connection.scalar(self._queries.count, values) or 0
        if head == ends.newest:
            return ends.total
        return ends.total - (connection.scalar(self._queries.count_newer, values) or 0)

    def at(
        self, connection: Connection, first: Position, *, skip: int, limit: int
    ) -> Sequence[Any]:
        """Return rows from `first` on, itself included."""
        return self._rows(connection, self._queries.at, first, skip, limit)

    def after(
        self, connection: Connection, last: Position, *, skip: int, limit: int
    ) -> Sequence[Any]:
        """Return rows that follow `last`."""
        return self._rows(connection, self._queries.after, last, skip, limit)

    def before(
        self, connection: Connection, first: Position, *, head: Position, skip: int, limit: int
    ) -> Sequence[Any]:
        """Return the rows that lead up to `first`, none of them newer than `head`."""
        until = {"head_at": head.created_at, "head_id": head.id}
        return self._rows(connection, self._queries.before, first, skip, limit, until)[::-1]

    def _rows(
        self,
        connection: Connection,
        query: Select[Any],
        place: Position,
        skip: int,
        limit: int,
        until: Mapping[str, object] | None = None,
    ) -> Sequence[Any]:
        values = {
            **self._values,
            **(until or {}),
            "place_at": place.created_at,
            "place_id": place.id,
            "skip": skip,
            "limit": limit,
        }
        return connection.execute(query, values).all()
