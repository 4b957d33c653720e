"""The queue of ranges: read by schedulers, and marked once the link took what they chose."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby

from sqlalchemy import ColumnElement, and_, bindparam, literal_column, select, update
from sqlalchemy.orm import Session

from eurydice_core.db.among import among
from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import (
    OutgoingContent,
    OutgoingRange,
    OutgoingTransferable,
    RevocationRow,
)
from eurydice_core.db.tables import User
from eurydice_core.interfaces.scheduler import Pending
from eurydice_core.model.queue import PendingRange
from eurydice_core.model.states import OutgoingState, RangeState, RevocationReason
from eurydice_core.origin.parts import describe
from eurydice_core.origin.payload import KeptRange
from eurydice_core.origin.pending import COLUMNS, IS_FREE, DatabasePending, pending_range
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.state import refresh_states
from eurydice_core.protocol.elements import Revocation, TransferablePart

__all__ = ["Queue"]

MAX_REVOCATIONS = 1000  # in one packet
# Written out, not bound: a partial index serves a query only where its condition is seen.
REPEATS: ColumnElement[bool] = OutgoingRange.sends_left > literal_column("0")


class Queue:
    """Everything the sender asks of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def pending(self) -> Iterator[Pending]:
        """Yield the queue as it is now, without what some sender has on its way."""
        with self._database.read() as session:
            yield DatabasePending(session)

    def parts(self, ranges: Sequence[PendingRange]) -> list[TransferablePart]:
        """Return what the packet says of these ranges; neighbours of one file share a part."""
        facts: dict[uuid.UUID, tuple[OutgoingTransferable, bytes]] = {}
        with self._database.read() as session:
            ids = {item.transferable_id for item in ranges}
            rows = session.execute(
                select(OutgoingTransferable, User.profile)
                .join(User, User.id == OutgoingTransferable.user_id)
                .where(among(session, OutgoingTransferable.id, ids))
            )
            facts.update((row.id, (row, profile)) for row, profile in rows)
        return [
            describe(*facts[transferable_id], [(item.offset, item.size) for item in group])
            for transferable_id, group in groupby(ranges, key=lambda item: item.transferable_id)
        ]

    def kept(self, ranges: Sequence[PendingRange]) -> dict[int, KeptRange]:
        """Return what the database keeps of these ranges' bytes, by the number of the range."""
        if not ranges:
            return {}
        content = and_(
            OutgoingRange.inline,
            OutgoingContent.transferable_id == OutgoingRange.transferable_id,
        )
        with self._database.read() as session:
            rows = session.execute(
                select(OutgoingRange.id, OutgoingRange.digest, OutgoingContent.data)
                .outerjoin(OutgoingContent, content)
                .where(among(session, OutgoingRange.id, {item.id for item in ranges}))
            )
            return {row.id: KeptRange(row.digest, row.data) for row in rows}

    def revocations(self) -> list[tuple[int, Revocation]]:
        """Return revocations that were not sent yet, oldest first, with their row numbers."""
        with self._database.read() as session:
            rows = session.execute(
                select(RevocationRow, OutgoingTransferable.name, User.profile)
                .join(
                    OutgoingTransferable,
                    OutgoingTransferable.id == RevocationRow.transferable_id,
                )
                .join(User, User.id == OutgoingTransferable.user_id)
                .where(RevocationRow.sent_at.is_(None))
                .order_by(RevocationRow.id)
                .limit(MAX_REVOCATIONS)
            )
            return [
                (
                    row.id,
                    Revocation(
                        id=row.transferable_id, profile=profile, name=name, reason=row.reason
                    ),
                )
                for row, name, profile in rows
            ]

    def due_again(self, sent_before: datetime, budget: int, limit: int) -> list[PendingRange]:
        """Return ranges to send once more, longest ago first, as many as fit."""
        chosen: list[PendingRange] = []
        size = 0
        with self._database.read() as session:
            query = (
                select(*COLUMNS)
                .where(REPEATS, OutgoingRange.sent_at < sent_before, IS_FREE)
                .order_by(OutgoingRange.sent_at, OutgoingRange.id)
                .limit(limit)
            )
            for row in session.execute(query):
                size += row.size
                if chosen and size > budget:
                    break
                chosen.append(pending_range(row))
        return chosen

    def mark_sent_again(self, session: Session, ranges: Collection[int], now: datetime) -> None:
        """Record that the link took these once more."""
        session.execute(
            update(OutgoingRange)
            .where(among(session, OutgoingRange.id, ranges), REPEATS)
            .values(sent_at=now, sends_left=OutgoingRange.sends_left - 1)
            .execution_options(synchronize_session=False)
        )

    def give_up_repeating(self, lost: PendingRange) -> None:
        """Forget about sending a range again: its bytes cannot be had."""
        with self._database.write() as session:
            session.execute(
                update(OutgoingRange).where(OutgoingRange.id == lost.id).values(sends_left=0)
            )

    def mark_sent(
        self,
        session: Session,
        ranges: Collection[int],
        revocations: Collection[int],
        now: datetime,
        *,
        repeats: int = 0,
    ) -> dict[uuid.UUID, OutgoingState]:
        """Record that the link took these; return the transferables whose state changed.

        `repeats` is how often each range will be sent again without anybody asking.
        Ranges that were canceled while they were on their way stay canceled.
        """
        values = {"sent_at": now, "sends_left": repeats}
        sent = _finish(session, ranges, RangeState.TRANSFERRED, now, **values)
        count = Counter(transferable_id for transferable_id, _ in sent)
        size: Counter[uuid.UUID] = Counter()
        for transferable_id, length in sent:
            size[transferable_id] += length
        _count_sent(session, count, size, now)
        if revocations:
            session.execute(
                update(RevocationRow)
                .where(among(session, RevocationRow.id, revocations))
                .values(sent_at=now)
                .execution_options(synchronize_session=False)
            )
        return refresh_states(session, count.keys(), now)

    def fail(self, lost: PendingRange) -> bool:
        """Fail the transferable of a range whose bytes cannot be had; return whether it was so.

        It is not if the range was taken out of the queue meanwhile, as by its user.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            if not _finish(session, [lost.id], RangeState.ERROR, now):
                return False
            row = session.get_one(OutgoingTransferable, lost.transferable_id, with_for_update=True)
            row.ranges_pending -= 1
            row.ranges_error += 1
            session.flush()
            revoke(session, row.id, RevocationReason.DATA_DAMAGED, now)
            refresh_states(session, [row.id], now)
            return True


def _finish(
    session: Session, ids: Collection[int], state: RangeState, now: datetime, **values: object
) -> list[tuple[uuid.UUID, int]]:
    """Take pending ranges out of the queue; return (transferable, size) of those that were."""
    rows = session.execute(
        update(OutgoingRange)
        .where(among(session, OutgoingRange.id, ids), OutgoingRange.state == RangeState.PENDING)
        .values(state=state, finished_at=now, **values)
        .returning(OutgoingRange.transferable_id, OutgoingRange.size)
        .execution_options(synchronize_session=False)
    )
    return [(row.transferable_id, row.size) for row in rows]


def _count_sent(
    session: Session, count: Counter[uuid.UUID], size: Counter[uuid.UUID], now: datetime
) -> None:
    if not count:
        return
    table = OutgoingTransferable.__table__.c
    session.connection().execute(
        update(OutgoingTransferable.__table__)  # type: ignore[arg-type]
        .where(table.id == bindparam("transferable"))
        .values(
            ranges_pending=table.ranges_pending - bindparam("sent_count"),
            ranges_transferred=table.ranges_transferred + bindparam("sent_count"),
            bytes_transferred=table.bytes_transferred + bindparam("sent_bytes"),
            last_range_finished_at=bindparam("sent_now"),
        ),
        [
            {"transferable": key, "sent_count": number, "sent_bytes": size[key], "sent_now": now}
            for key, number in count.items()
        ],
    )
