"""Telling the destination how transfers ended, so that it knows of files it never saw.

An ending is told when nothing more of the file will be sent unasked, and again after one
minute, four, sixteen and so on, for as long as the configuration says: every packet that
carries it may be lost. A packet carries a bounded number of entries.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from eurydice_core.db.among import among
from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import OutgoingRange, RevocationRow
from eurydice_core.db.outgoing import OutgoingTransferable as Row
from eurydice_core.db.tables import User
from eurydice_core.model.states import OutgoingState
from eurydice_core.origin.parts import describe
from eurydice_core.protocol.elements import TransferablePart

__all__ = ["History"]

FIRST_INTERVAL: Final = timedelta(minutes=1)
GROWTH: Final = 4


class History:
    """The endings that are still to be told."""

    def __init__(self, database: Database, *, duration: timedelta, limit: int) -> None:
        self._database = database
        self._duration = duration
        self._limit = limit

    def due(self, now: datetime) -> list[TransferablePart]:
        """Return the endings to tell now, longest due first."""
        repeats = exists().where(
            OutgoingRange.transferable_id == Row.id, OutgoingRange.sends_left > 0
        )
        # A revocation says more than an ending does, so it goes first.
        revocation = exists().where(
            RevocationRow.transferable_id == Row.id, RevocationRow.sent_at.is_(None)
        )
        query = (
            select(Row, User.profile)
            .join(User, User.id == Row.user_id)
            .where(Row.announce_at <= now, ~repeats, ~revocation)
            .order_by(Row.announce_at)
            .limit(self._limit)
        )
        with self._database.read() as session:
            return [
                describe(row, profile, ended=row.state) for row, profile in session.execute(query)
            ]

    def mark_told(self, session: Session, ids: Collection[uuid.UUID], now: datetime) -> None:
        """Record that the link took these, and when to tell them again."""
        if not ids:
            return
        told = select(Row).where(among(session, Row.id, ids)).with_for_update()
        for row in session.scalars(told):
            again = now + FIRST_INTERVAL * GROWTH**row.announced
            row.announced += 1
            fresh = again - row.state_changed_at <= self._duration
            row.announce_at = again if fresh else None

    def tell_again(self, since: datetime, now: datetime) -> int:
        """Have every ending since then told once more, at once; return how many there are."""
        final = [state for state in OutgoingState if state.is_final]
        with self._database.write() as session:
            rows = session.execute(
                update(Row)
                .where(Row.state.in_(final), Row.state_changed_at >= since)
                .values(announce_at=now)
                .returning(Row.id)
                .execution_options(synchronize_session=False)
            )
            return len(rows.all())
