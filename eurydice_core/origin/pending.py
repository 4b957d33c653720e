"""The queue as a scheduler sees it."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Uuid,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from eurydice_core.db.outgoing import OutgoingClaim, OutgoingRange
from eurydice_core.db.tables import User
from eurydice_core.db.waiting import WaitingCount
from eurydice_core.interfaces.scheduler import Pending
from eurydice_core.model.queue import PendingRange, WaitingUser

__all__ = ["COLUMNS", "IS_FREE", "IS_PENDING", "DatabasePending", "pending_range"]

FIRST_READ, LARGEST_READ = 128, 512  # ranges; of many users, few of each are chosen
COLUMNS: Final = (
    OutgoingRange.id,
    OutgoingRange.transferable_id,
    OutgoingRange.user_id,
    OutgoingRange.byte_offset,
    OutgoingRange.size,
    OutgoingRange.whole,
)
"""What a `PendingRange` is made of, in its order: making whole rows takes five times as long."""
# Written out, not bound: a partial index serves a query only where its condition is seen.
IS_PENDING: ColumnElement[bool] = OutgoingRange.state == literal_column("'PENDING'")

IS_FREE: ColumnElement[bool] = ~exists().where(OutgoingClaim.range_id == OutgoingRange.id)
"""No sender has it on its way."""

PLACE: Final = (OutgoingRange.user_id, OutgoingRange.whole, OutgoingRange.id)
"""In the order of an index."""


def lane(
    user_id: ColumnElement[uuid.UUID] | InstrumentedAttribute[uuid.UUID],
    *,
    whole: bool,
    after: ColumnElement[int],
) -> Sequence[ColumnElement[bool]]:
    """Return what is true of a user's waiting ranges of one sort, beyond a row.

    Told as a stretch of the index of `PLACE`, and to be ordered by it: told to look for a
    user and a sort in the order of rows, PostgreSQL may well go through everybody's.
    """
    sort = literal(whole, Boolean)
    return (
        IS_PENDING,
        tuple_(*PLACE) > tuple_(user_id, sort, after),
        tuple_(*PLACE[:2]) <= tuple_(user_id, sort),
    )


def _next(*conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    at_once = bindparam("at_once", type_=Integer, literal_execute=True)
    return select(*COLUMNS).where(*conditions, IS_FREE).limit(at_once)


LAST: Final = bindparam("last", type_=BigInteger)
# Made once: making a statement takes longer than reading what few rows it finds.
ANYBODYS: Final = {
    whole: _next(
        IS_PENDING,
        OutgoingRange.id > LAST,
        *([] if whole is None else [OutgoingRange.whole.is_(whole)]),
    ).order_by(OutgoingRange.id)
    for whole in (None, False, True)
}
USERS: Final = {
    whole: _next(*lane(bindparam("user", type_=Uuid), whole=whole, after=LAST)).order_by(*PLACE)
    for whole in (False, True)
}


class DatabasePending(Pending):
    """The queue as one transaction sees it, without what some sender has on its way."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._empty: set[tuple[uuid.UUID, bool]] = set()
        """Whose lane of which sort had nothing when the users were asked for."""

    def users(self) -> Sequence[WaitingUser]:
        """Return the users with something waiting, by id."""
        waiting = (
            select(WaitingCount.user_id, func.sum(WaitingCount.bytes).label("pending_bytes"))
            .group_by(WaitingCount.user_id)
            .having(func.sum(WaitingCount.ranges) > 0)
            .subquery()
        )
        rows = self._session.execute(
            select(
                User.id,
                User.priority,
                waiting.c.pending_bytes,
                _oldest(whole=True).label("oldest_whole"),
                _oldest(whole=False).label("oldest_part"),
            )
            .join(waiting, waiting.c.user_id == User.id)
            .order_by(User.id)
        )
        waiting_users = []
        for row in rows:
            oldest = {True: row.oldest_whole, False: row.oldest_part}
            self._empty.update((row.id, sort) for sort, at in oldest.items() if at is None)
            if found := [at for at in oldest.values() if at is not None]:
                size = int(row.pending_bytes)
                waiting_users.append(WaitingUser(row.id, row.priority, size, min(found)))
        return waiting_users

    def ranges(
        self, user_id: uuid.UUID | None = None, *, whole: bool | None = None
    ) -> Iterator[PendingRange]:
        """Return waiting ranges, oldest first, read more and more at a time."""
        if user_id is None:
            return self._read(ANYBODYS[whole])
        wanted = (False, True) if whole is None else (whole,)
        lanes = [
            self._read(USERS[sort], user=user_id)
            for sort in wanted
            if (user_id, sort) not in self._empty
        ]
        return heapq.merge(*lanes, key=attrgetter("id"))

    def _read(self, query: Select[Any], **values: object) -> Iterator[PendingRange]:
        connection = self._session.connection()
        last, at_once = 0, FIRST_READ
        while True:
            rows = connection.execute(query, {**values, "last": last, "at_once": at_once}).all()
            yield from map(pending_range, rows)
            if len(rows) < at_once:
                return
            last, at_once = rows[-1].id, min(2 * at_once, LARGEST_READ)


def pending_range(row: Sequence[Any]) -> PendingRange:
    """Return what a scheduler sees of a range; `row` has `COLUMNS`."""
    return PendingRange(*row)


def _oldest(*, whole: bool) -> Select[tuple[object]]:
    """Return when a user's oldest waiting range of a sort was queued: one place of an index."""
    query = (
        select(OutgoingRange.created_at)
        .where(*lane(User.id, whole=whole, after=literal(0)))
        .order_by(*PLACE)
        .limit(1)
        .correlate(User)
    )
    return query.scalar_subquery()  # type: ignore[return-value]
