"""The queue as a scheduler sees it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select
from sqlalchemy.orm import Session

from eurydice_core.db.outgoing import OutgoingRange
from eurydice_core.db.tables import User
from eurydice_core.db.waiting import WaitingCount
from eurydice_core.interfaces.scheduler import Pending
from eurydice_core.model.queue import PendingRange, WaitingUser

__all__ = ["COLUMNS", "IS_PENDING", "DatabasePending", "nobody_sends", "pending_range"]

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


class DatabasePending(Pending):
    """The queue as one transaction sees it, without what some sender has on its way."""

    def __init__(self, session: Session, senders: Collection[uuid.UUID]) -> None:
        """`senders` are those that live: what others had on their way waits again."""
        self._session = session
        self._free = nobody_sends(senders)

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
        return [
            WaitingUser(row.id, row.priority, int(row.pending_bytes), min(oldest))
            for row in rows
            if (oldest := [at for at in (row.oldest_whole, row.oldest_part) if at is not None])
        ]

    def ranges(
        self, user_id: uuid.UUID | None = None, *, whole: bool | None = None
    ) -> Iterator[PendingRange]:
        """Yield waiting ranges, oldest first, more and more rows at a time."""
        query = select(*COLUMNS).where(IS_PENDING, self._free).order_by(OutgoingRange.id)
        if user_id is not None:
            query = query.where(OutgoingRange.user_id == user_id)
        if whole is not None:
            query = query.where(OutgoingRange.whole == whole)
        connection = self._session.connection()
        last, at_once = 0, FIRST_READ
        while True:
            rows = connection.execute(query.where(OutgoingRange.id > last).limit(at_once)).all()
            yield from map(pending_range, rows)
            if len(rows) < at_once:
                return
            last, at_once = rows[-1].id, min(2 * at_once, LARGEST_READ)


def nobody_sends(senders: Collection[uuid.UUID]) -> ColumnElement[bool]:
    """Return what is true of ranges that none of these senders has on its way."""
    return or_(OutgoingRange.sender.is_(None), OutgoingRange.sender.not_in(senders))


def pending_range(row: Sequence[Any]) -> PendingRange:
    """Return what a scheduler sees of a range; `row` has `COLUMNS`."""
    return PendingRange(*row)


def _oldest(*, whole: bool) -> Select[tuple[object]]:
    """Return when a user's oldest waiting range of a sort was queued: one place of an index."""
    query = (
        select(OutgoingRange.created_at)
        .where(IS_PENDING, OutgoingRange.user_id == User.id, OutgoingRange.whole.is_(whole))
        .order_by(OutgoingRange.id)
        .limit(1)
        .correlate(User)
    )
    return query.scalar_subquery()  # type: ignore[return-value]
