"""The origin's cleaner: data that was sent and kept, dead uploads, old records."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta

from loguru import logger
from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from eurydice_core.db.admission import UploadReservation
from eurydice_core.db.facts import LAST_CLEANED_AT, set_time
from eurydice_core.db.idempotency import IdempotencyKey
from eurydice_core.db.outgoing import (
    OutgoingContent,
    OutgoingRange,
    OutgoingTransferable,
    RevocationRow,
    range_key,
)
from eurydice_core.errors import StorageError
from eurydice_core.installation import Installation
from eurydice_core.leases import CLEANER
from eurydice_core.model.clock import Clock, SteadyClock
from eurydice_core.model.states import OutgoingState, RangeState, RevocationReason
from eurydice_core.origin.revoke import revoke
from eurydice_core.orphans import Orphans
from eurydice_core.removal import remove_each
from eurydice_core.service import Service

__all__ = ["OriginCleaner"]

BATCH = 500
"""Rows changed in one transaction, so that nobody waits long for a lock."""


class OriginCleaner(Service):
    """Removes what is no longer needed, and never anything that was not sent."""

    def __init__(self, installation: Installation, *, now: Clock | None = None) -> None:
        super().__init__()
        settings = installation.settings
        self.interval = settings.cleaner.run_every
        self._installation = installation
        self._now = now = now or SteadyClock()  # deletes nothing because a clock jumped
        self._retain = timedelta(seconds=settings.sender.retain_after_send)
        self._upload_timeout = timedelta(seconds=settings.cleaner.upload_timeout)
        self._trim_after = timedelta(seconds=settings.cleaner.trim_after)
        self._orphans = Orphans(
            installation.storage, installation.database, "ranges/", self._known, now=now
        )

    def step(self) -> bool:
        """Clean one batch of each sort; return whether there may be more.

        Of several cleaners at one database, one does it for as long as it lives.
        """
        if not self._installation.leases.take(CLEANER):
            return False
        counts = [self.end_dead_uploads(), self.end_dead_reservations(), self.forget_keys()]
        try:
            counts.append(self.free())
        finally:  # a storage that is away holds no record up
            counts.append(self.trim())
        counts.append(self._orphans.remove_some())
        return max(counts) >= BATCH

    def end_dead_uploads(self) -> int:
        """Revoke uploads that stopped half-way: their process was killed, or their machine."""
        row = OutgoingTransferable
        now = self._now()
        dead = select(row.id).where(
            row.state.in_((OutgoingState.PENDING, OutgoingState.ONGOING)),
            row.submission_succeeded_at.is_(None),
            row.received_at < now - self._upload_timeout,
        )
        with self._installation.database.write() as session:
            # Locked, so that an upload that ends meanwhile is looked at again, or waits.
            locked = dead.limit(BATCH).with_for_update(skip_locked=True)
            ids = session.scalars(locked).all()
            for id in ids:
                revoke(session, id, RevocationReason.UPLOAD_INTERRUPTION, now)
        for id in ids:
            logger.warning("transferable {}: its upload was interrupted, given up", id)
        return len(ids)

    def end_dead_reservations(self) -> int:
        """Give back the room that killed uploads held: users with a quota need it."""
        row, held = OutgoingTransferable, UploadReservation
        limit = self._now() - self._upload_timeout
        alive = select(row.id).where(
            row.id == held.id, row.submission_succeeded_at.is_(None), row.received_at >= limit
        )
        dead = select(held.id).where(held.created_at < limit, ~alive.exists()).limit(BATCH)
        with self._installation.database.write() as session:
            ids = session.scalars(dead).all()
            session.execute(
                delete(held).where(held.id.in_(ids)).execution_options(synchronize_session=False)
            )
        return len(ids)

    def free(self) -> int:
        """Delete data that was sent and kept long enough, or that will never be sent."""
        row = OutgoingRange
        ranges = self._claimed(self._done())
        if not ranges:
            return 0
        ranges = self._delete(ranges)
        inline = [item.transferable_id for item in ranges if item.inline]
        with self._installation.database.write() as session:
            session.execute(
                delete(OutgoingContent)
                .where(OutgoingContent.transferable_id.in_(inline))
                .execution_options(synchronize_session=False)
            )
            session.execute(
                update(row)
                .where(row.id.in_([item.id for item in ranges]))
                .values(stored=False, inline=False)
                .execution_options(synchronize_session=False)
            )
        return len(ranges)

    def _claimed(self, ranges: list[OutgoingRange]) -> list[OutgoingRange]:
        """Claim ranges that are still done; return those. A ticket may have queued some again.

        What a crash leaves claimed is still done at the next step, which goes on with it.
        """
        if not ranges:
            return []
        row = OutgoingRange
        with self._installation.database.write() as session:
            claimed = set(
                session.scalars(
                    update(row)
                    .where(row.id.in_([item.id for item in ranges]), or_(*self._sorts()))
                    .values(freeing=True)
                    .returning(row.id)
                    .execution_options(synchronize_session=False)
                )
            )
            # A power cut may undo what the sender noted, but nothing before a durable commit.
            set_time(session, LAST_CLEANED_AT, self._now())
        return [item for item in ranges if item.id in claimed]

    def _sorts(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """Return the conditions of ranges whose bytes nobody needs: sent, or never to be sent."""
        row = OutgoingRange
        limit = self._now() - self._retain
        kept_long = and_(
            row.state == RangeState.TRANSFERRED,
            row.finished_at < limit,  # which was no later; it is what the index knows
            row.sent_at < limit,
            row.sends_left == 0,
        )
        return kept_long, row.state.in_((RangeState.CANCELED, RangeState.ERROR))

    def _done(self) -> list[OutgoingRange]:
        """Return ranges whose bytes nobody needs, the oldest of each sort first."""
        row = OutgoingRange
        # Written out, not bound: a partial index serves only where its condition is seen.
        stored = [row.stored, row.state != literal_column("'PENDING'")]
        found: list[OutgoingRange] = []
        with self._installation.database.read() as session:
            for sort in self._sorts():
                query = select(row).where(*stored, sort).order_by(row.finished_at)
                found += session.scalars(query.limit(BATCH - len(found)))
        return found

    def _delete(self, ranges: list[OutgoingRange]) -> list[OutgoingRange]:
        """Delete what the storage has of ranges; return those of which nothing is left."""
        storage = self._installation.storage
        try:
            storage.delete([item.key for item in ranges if not item.inline])
        except StorageError:  # one of them may be to blame
            inline = [item for item in ranges if item.inline]
            others = [item for item in ranges if not item.inline]
            return inline + remove_each(others, lambda item: storage.delete([item.key]))
        return ranges

    def trim(self) -> int:
        """Forget transfers that ended long ago and left nothing to say or to delete."""
        row, part, told = OutgoingTransferable, OutgoingRange, RevocationRow
        limit = self._now() - self._trim_after
        old = select(row.id).where(
            row.state.in_([state for state in OutgoingState if state.is_final]),
            row.state_changed_at < limit,
            ~exists().where(part.transferable_id == row.id, or_(part.stored, part.sends_left > 0)),
            ~exists().where(told.transferable_id == row.id, told.sent_at.is_(None)),
        )
        with self._installation.database.write() as session:
            # Locked, so that what a ticket queues again meanwhile is looked at again.
            ids = session.scalars(old.limit(BATCH).with_for_update(skip_locked=True)).all()
            session.execute(
                delete(row).where(row.id.in_(ids)).execution_options(synchronize_session=False)
            )
        if ids:
            logger.info("{} records of old transferables trimmed", len(ids))
        return len(ids)

    def forget_keys(self) -> int:
        """Forget idempotency keys that nobody may rely on any more."""
        row = IdempotencyKey
        old = select(row.user_id, row.digest).where(row.expires_at < self._now()).limit(BATCH)
        with self._installation.database.write() as session:
            keys = session.execute(old).all()
            for user_id, digest in keys:
                session.execute(
                    delete(row)
                    .where(row.user_id == user_id, row.digest == digest)
                    .execution_options(synchronize_session=False)
                )
        return len(keys)

    def _known(self, keys: Collection[str]) -> set[str]:
        """Return which of these keys of the storage are ranges that are kept, or no ranges."""
        row = OutgoingRange
        places = {key: place for key in keys if (place := _place(key)) is not None}
        wanted = tuple_(row.transferable_id, row.byte_offset).in_(places.values())
        query = select(row.transferable_id, row.byte_offset).where(row.stored, ~row.inline, wanted)
        with self._installation.database.read() as session:
            kept = {range_key(id, offset) for id, offset in session.execute(query)}
        return kept | (set(keys) - places.keys())


def _place(key: str) -> tuple[uuid.UUID, int] | None:
    """Return whose key of the storage this is, and from which byte on; None if nobody's."""
    try:
        _, id, offset = key.split("/")
        place = uuid.UUID(id), int(offset)
    except ValueError:
        return None
    return place if range_key(*place) == key else None
