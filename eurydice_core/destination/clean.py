"""The destination's cleaner: expiry, stale arrivals, leftovers, old records."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta

from loguru import logger
from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from eurydice_core.db.incoming import IncomingTransferable as Row
from eurydice_core.db.incoming import file_key
from eurydice_core.destination.purge import GONE, purge, purgeable
from eurydice_core.destination.transitions import record_ended
from eurydice_core.installation import Installation
from eurydice_core.leases import CLEANER
from eurydice_core.model.clock import Clock, SteadyClock
from eurydice_core.model.states import IncomingState
from eurydice_core.orphans import Orphans
from eurydice_core.removal import remove_each
from eurydice_core.service import Service

__all__ = ["DestinationCleaner"]

BATCH = 500
"""Rows changed in one transaction, so that nobody waits long for a lock."""


class DestinationCleaner(Service):
    """Removes what was kept for as long as the configuration says."""

    def __init__(self, installation: Installation, *, now: Clock | None = None) -> None:
        super().__init__()
        settings = installation.settings.cleaner
        self.interval = settings.run_every
        self._installation = installation
        self._now = now = now or SteadyClock()  # deletes nothing because a clock jumped
        self._expire_after = timedelta(seconds=settings.expire_after)
        self._repair_within = timedelta(seconds=settings.repair_within)
        self._trim_after = timedelta(seconds=settings.trim_after)
        self._orphans = Orphans(
            installation.storage, installation.database, "files/", self._known, now=now
        )

    def step(self) -> bool:
        """Clean one batch of each sort; return whether there may be more.

        Of several cleaners at one database, one does it for as long as it lives.
        """
        if not self._installation.leases.take(CLEANER):
            return False
        counts = [self.expire(), self.give_up_stale(), self.end_repairs()]
        try:
            counts.append(self.purge())
        finally:  # a storage that is away holds no record up
            counts.append(self.trim())
        counts.append(self._orphans.remove_some())
        return max(counts) >= BATCH

    def expire(self) -> int:
        """Let go of files that were there to be fetched for long enough."""
        limit = self._now() - self._expire_after
        due = and_(Row.state == IncomingState.SUCCESS, Row.finished_at < limit)
        count = self._end(due, IncomingState.EXPIRED, None)
        if count:
            logger.info("{} transferables expired", count)
        return count

    def give_up_stale(self) -> int:
        """Stop waiting for files of which nothing came for as long as files are kept."""
        limit = self._now() - self._expire_after
        due = and_(Row.state == IncomingState.ONGOING, Row.received_at < limit)
        count = self._end(due, IncomingState.ERROR, "the rest of it never came")
        if count:
            logger.warning("{} transferables given up: the rest of them never came", count)
        return count

    def end_repairs(self) -> int:
        """Let go of incomplete files that nobody repaired in time."""
        limit = self._now() - self._repair_within
        with self._installation.database.write() as session:
            late = and_(Row.repairable, Row.finished_at < limit, Row.received_at < limit)
            some = select(Row.id).where(late).limit(BATCH).scalar_subquery()
            ids = session.scalars(
                update(Row)
                .where(Row.id.in_(some), late)  # again: some of it may have come meanwhile
                .values(repairable=False)
                .returning(Row.id)
                .execution_options(synchronize_session=False)
            ).all()
        if ids:
            logger.warning("{} incomplete transferables were not repaired in time", len(ids))
        return len(ids)

    def purge(self) -> int:
        """Free the storage of what is gone; a crash may have left some."""
        ids = purgeable(self._installation, BATCH)
        return len(remove_each(ids, lambda id: purge(self._installation, id)))

    def trim(self) -> int:
        """Forget transfers that ended long ago."""
        limit = self._now() - self._trim_after
        old = (
            select(Row.id)
            .where(Row.state.in_(GONE), Row.finished_at < limit, ~Row.stored, ~Row.repairable)
            .limit(BATCH)
        )
        with self._installation.database.write() as session:
            ids = session.scalars(old).all()
            session.execute(
                delete(Row).where(Row.id.in_(ids)).execution_options(synchronize_session=False)
            )
        if ids:
            logger.info("{} records of old transferables trimmed", len(ids))
        return len(ids)

    def _end(self, due: ColumnElement[bool], state: IncomingState, reason: str | None) -> int:
        values: dict[str, object] = {"state": state, "reason": reason}
        if state is IncomingState.ERROR:  # an expired file did finish, and keeps its date
            values |= {"finished_at": self._now()}
        with self._installation.database.write() as session:
            some = select(Row.id).where(due).limit(BATCH).scalar_subquery()
            ended = session.scalars(
                update(Row)
                .where(Row.id.in_(some), due)
                .values(**values)
                .returning(Row.id)
                .execution_options(synchronize_session=False)
            ).all()
            record_ended(session, ended)
            return len(ended)

    def _known(self, keys: Collection[str]) -> set[str]:
        """Return which of these keys of the storage are files that are kept, or no files."""
        ids = {key: id for key in keys if (id := _id(key)) is not None}
        query = select(Row.id).where(
            Row.id.in_(ids.values()),
            or_(Row.stored, Row.repairable, Row.state == IncomingState.ONGOING),
        )
        with self._installation.database.read() as session:
            kept = {file_key(id) for id in session.scalars(query)}
        return kept | (set(keys) - ids.keys())


def _id(key: str) -> uuid.UUID | None:
    """Return whose key of the storage this is; None if nobody's."""
    try:
        id = uuid.UUID(key.rpartition("/")[2])
    except ValueError:
        return None
    return id if file_key(id) == key else None
