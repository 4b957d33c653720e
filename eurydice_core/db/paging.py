"""Walks a long table from any place in it, newest first, however it changes meanwhile.

Places are positions, not row numbers: rows that are added at the head or removed
anywhere never make a page repeat or skip another row.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from sqlalchemy.sql.util import ClauseAdapter

from eurydice_core.db.among import among
from eurydice_core.db.spans import Span
from eurydice_core.db.tables import Base, UtcDateTime

__all__ = ["Ends", "Finder", "Keyset", "KeysetQueries", "Matches", "Position", "Values"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Order = tuple[Any, ...]  # what `order_by` takes
SKIP: Final = bindparam("skip", type_=Integer)
Values = Mapping[str, object]
Finder = Callable[[Connection, Values], Sequence[uuid.UUID] | None]
"""Returns the ids of rows among which a list's rows are, None if they are too many."""
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
    """The first and the last position of a list, and how many there are."""

    newest: Position
    oldest: Position
    total: int


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
        finders: Sequence[Finder] = (),
        spans: Sequence[Span] = (),
    ) -> None:
        """Prepare to read these columns.

        Args:
            table: whose rows.
            columns: by name; `created_at` and `id` among them.
            conditions: that the rows meet.
            total: counts those rows, if a counter knows how many there are.
            finders: find the rows by an index of another order, where they are few.
            spans: stretches of an index that together are those rows, each row in one of them.
        """
        self._table: Table = table.__table__  # type: ignore[assignment]
        self._columns = [self._table.c[name] for name in columns]
        self._conditions = conditions
        self.total = total
        self.finders = finders
        self.spans = spans
        self._created_at = self._table.c.created_at
        self._id = self._table.c.id
        self._downwards: Order = (desc(self._created_at), asc(self._id))
        self._upwards: Order = (asc(self._created_at), desc(self._id))

    @cached_property
    def counted_ends(self) -> Select[Any]:
        """Select both ends and the total of the counter, all of one moment."""
        if self.total is None:
            raise RuntimeError("this list has no counter")
        return self.ends(self.total.scalar_subquery())

    def ends(self, total: ColumnElement[int]) -> Select[Any]:
        """Select both ends, which are looked for in the order of the list, and a total."""
        newest, oldest = self._end(self._downwards), self._end(self._upwards)
        both = newest.join(oldest, true())
        return select(*newest.c, *oldest.c, total).select_from(both)

    @cached_property
    def summary(self) -> Select[Any, Any, int]:
        """Select the newest time, the oldest and the total in one pass over all rows."""
        at = self._created_at
        newest, oldest = func.max(at, type_=at.type), func.min(at, type_=at.type)
        return select(newest, oldest, func.count()).where(*self._conditions)

    @cached_property
    def first_at(self) -> Select[Any]:
        """Select the first row of one time."""
        return (
            select(self._id)
            .where(*self._conditions, self._created_at == AT)
            .order_by(asc(self._id))
            .limit(1)
        )

    @cached_property
    def last_at(self) -> Select[Any]:
        """Select the last row of one time."""
        return (
            select(self._id)
            .where(*self._conditions, self._created_at == AT)
            .order_by(desc(self._id))
            .limit(1)
        )

    def has_order_of(self, span: Span) -> bool:
        """Return whether the list is in the order of a span's column."""
        return span.column is self._created_at

    @cached_property
    def count_newer(self) -> Select[Any]:
        """Count the rows before the head."""
        query = select(func.count()).select_from(self._table)
        return query.where(*self._conditions, self._before(HEAD_AT, HEAD_ID))

    def positions(self, connection: Connection, ids: Sequence[uuid.UUID]) -> Select[Any]:
        """Select the positions of the rows of this list among some ids."""
        # The limit keeps a database from looking for the rows in another way.
        looked_at = select(self._table).where(among(connection, self._id, ids)).limit(len(ids))
        inner = looked_at.subquery()
        moved = ClauseAdapter(inner)
        conditions = [moved.traverse(condition) for condition in self._conditions]
        return select(inner.c.created_at, inner.c.id).where(*conditions)

    def rows(self, connection: Connection, ids: Sequence[uuid.UUID]) -> Select[Any]:
        """Select the rows of some ids."""
        return select(*self._columns).where(among(connection, self._id, ids))

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

    def narrowed(self, connection: Connection) -> Keyset | Matches:
        """Return the same list as its rows, where an index finds them and they are few."""
        for finder in self._queries.finders:
            found = finder(connection, self._values)
            if found is not None:
                return Matches.read(connection, self._queries, self._values, found)
        return self

    def ends(self, connection: Connection) -> Ends | None:
        """Return both ends, None if there are no rows."""
        queries = self._queries
        if queries.total is not None:
            query = queries.counted_ends
        elif queries.spans:
            most = [span.is_most(connection, self._values) for span in queries.spans]
            spans = list(zip(queries.spans, most, strict=True))
            if not all(is_most or queries.has_order_of(span) for span, is_most in spans):
                return self._summary(connection)
            counts = [span.count(is_most=is_most) for span, is_most in spans]
            query = queries.ends(sum(counts[1:], start=counts[0]))
        else:
            return self._summary(connection)
        row: Any = connection.execute(query, self._values).first()
        if row is None:
            return None
        return Ends(Position(row[0], row[1]), Position(row[2], row[3]), int(row[4] or 0))

    def _summary(self, connection: Connection) -> Ends | None:
        """Return both ends by one pass over all rows: few of them may be in the list."""
        queries = self._queries
        newest, oldest, total = connection.execute(queries.summary, self._values).one()
        if not total:
            return None
        first = connection.scalar(queries.first_at, {**self._values, "place_at": newest})
        last = connection.scalar(queries.last_at, {**self._values, "place_at": oldest})
        if first is None or last is None:  # removed between the statements
            return self._summary(connection)
        return Ends(Position(newest, first), Position(oldest, last), total)

    def count(self, connection: Connection, ends: Ends, head: Position) -> int:
        """Return how many rows there are from `head` on."""
        if head == ends.newest:
            return ends.total
        values = {**self._values, "head_at": head.created_at, "head_id": head.id}
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


class Matches:
    """The rows of a list that an index found: few enough to be sorted here."""

    def __init__(self, queries: KeysetQueries, places: Sequence[Position]) -> None:
        """Use these positions, in the order of the list."""
        self._queries = queries
        self._places = places
        self._keys = [_key(place) for place in places]

    @classmethod
    def read(
        cls,
        connection: Connection,
        queries: KeysetQueries,
        values: Values,
        ids: Sequence[uuid.UUID],
    ) -> Matches:
        """Return the rows of a list among some ids."""
        found: Any = connection.execute(queries.positions(connection, ids), values) if ids else []
        return cls(queries, sorted((Position(at, id) for at, id in found), key=_key))

    def narrowed(self, _connection: Connection) -> Matches:
        """Return the list itself."""
        return self

    def ends(self, _connection: Connection) -> Ends | None:
        """Return both ends, None if there are no rows."""
        if not self._places:
            return None
        return Ends(self._places[0], self._places[-1], len(self._places))

    def count(self, _connection: Connection, _ends: Ends, head: Position) -> int:
        """Return how many rows there are from `head` on."""
        return len(self._places) - bisect_left(self._keys, _key(head))

    def at(
        self, connection: Connection, first: Position, *, skip: int, limit: int
    ) -> Sequence[Any]:
        """Return rows from `first` on, itself included."""
        return self._rows(connection, bisect_left(self._keys, _key(first)) + skip, limit)

    def after(
        self, connection: Connection, last: Position, *, skip: int, limit: int
    ) -> Sequence[Any]:
        """Return rows that follow `last`."""
        return self._rows(connection, bisect_right(self._keys, _key(last)) + skip, limit)

    def before(
        self, connection: Connection, first: Position, *, head: Position, skip: int, limit: int
    ) -> Sequence[Any]:
        """Return the rows that lead up to `first`, none of them newer than `head`."""
        begin = bisect_left(self._keys, _key(head))
        stop = bisect_left(self._keys, _key(first)) - skip
        return self._rows(connection, max(begin, stop - limit), max(0, min(limit, stop - begin)))

    def _rows(self, connection: Connection, begin: int, limit: int) -> Sequence[Any]:
        ids = [place.id for place in self._places[begin : begin + limit]]
        if not ids:
            return []
        rows: Any = connection.execute(self._queries.rows(connection, ids)).all()
        return sorted(rows, key=lambda row: _key(Position(row.created_at, row.id)))


def _key(place: Position) -> tuple[timedelta, uuid.UUID]:
    return EPOCH - place.created_at, place.id
