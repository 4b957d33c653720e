"""Quotas: the most bytes kept for one user, and the most files they send in a day.

Stored bytes are summed when a reservation is made, so no counter can drift. Each upload
under way holds a reservation, so that two at once cannot both take the last of the room.
An upload of unknown length reserves in growing steps, and never more than a share of the
free room ahead of its bytes, so that it leaves room for others. Users without a quota
have no reservations.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from eurydice_core.config import Settings
from eurydice_core.db.accounts import Account
from eurydice_core.db.admission import UploadReservation
from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.db.tables import User
from eurydice_core.errors import QuotaExceeded, TooManyFiles
from eurydice_core.model.clock import Clock, utc_now

__all__ = ["Quota", "Reservation", "Usage", "quota_of", "release", "reserve", "usage"]

DAY = timedelta(days=1)
FIRST_STEP = 2**20
"""Bytes reserved first for an upload of unknown length; each later step doubles the whole."""
LARGEST_STEP = 64 * 2**20
"""Bytes of one step at most."""
SHARE = 32
"""A step takes at most one part in so many of the free room, but for bytes that have come."""
UNLISTED_WAIT = 60.0
"""Seconds to wait where all of a day's files are being uploaded at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A user's limits; None for none."""

    size: int | None
    files: int | None

    @property
    def applies(self) -> bool:
        """Whether there is any limit."""
        return self.size is not None or self.files is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a user has taken of each."""

    size: int
    files: int


def quota_of(account: Account, settings: Settings) -> Quota:
    """Return a user's limits: their own, or else everybody's."""

    def limit(own: int | None, default: int | None) -> int | None:
        chosen = default if own is None else own
        return None if chosen is not None and chosen < 0 else chosen

    return Quota(
        size=limit(account.quota_size, settings.upload.quota_size),
        files=limit(account.quota_files, settings.upload.quota_files),
    )


def usage(session: Session, user_id: uuid.UUID, now: datetime) -> Usage:
    """Return what a user has here, and how many files they began in the last 24 hours."""
    began = select(func.count()).where(
        OutgoingTransferable.user_id == user_id, OutgoingTransferable.created_at > now - DAY
    )
    files = session.scalar(began) or 0
    return Usage(size=_taken(session, user_id), files=files + _unlisted(session, user_id))


class Reservation:
    """Room for one upload. Its methods block, and are called one at a time."""

    def __init__(self, database: Database, account: Account, id: uuid.UUID, limit: int) -> None:
        self._database = database
        self._account = account
        self._id = id
        self._limit = limit
        self._size = 0

    def begin(self, session: Session, size: int | None, now: datetime) -> None:
        """Reserve the announced size, or a first step if it is unknown.

        Raises:
            QuotaExceeded: the free room is smaller.
        """
        least, step = (1, FIRST_STEP) if size is None else (size, 0)
        self._size = self._granted(session, least, step)
        session.add(
            UploadReservation(
                id=self._id, user_id=self._account.id, size=self._size, created_at=now
            )
        )

    def cover(self, received: int) -> None:
        """Extend the reservation to at least `received` bytes in all.

        Raises:
            QuotaExceeded: the free room is smaller; the reservation stays as it was.
        """
        if received <= self._size:
            return
        step = min(max(self._size, FIRST_STEP), LARGEST_STEP)
        with self._database.write(durable=False) as session:
            _lock(session, self._account.id)
            more = self._granted(session, received - self._size, step)
            session.execute(
                update(UploadReservation)
                .where(UploadReservation.id == self._id)
                .values(size=UploadReservation.size + more)
            )
        self._size += more

    def _granted(self, session: Session, least: int, step: int) -> int:
        """Return the bytes to reserve: `least`, or a larger step that leaves room for others."""
        taken = _taken(session, self._account.id)
        free = self._limit - taken
        if least > free:
            raise QuotaExceeded(self._limit, taken)
        return max(least, min(step, free // SHARE))


def reserve(
    database: Database,
    account: Account,
    quota: Quota,
    id: uuid.UUID,
    size: int | None,
    *,
    now: Clock = utc_now,
) -> Reservation | None:
    """Reserve room for an upload before any of it is read; None for users without a quota.

    Raises:
        QuotaExceeded: there is no room for it.
        TooManyFiles: the user has begun enough files today.
    """
    if not quota.applies:
        return None
    moment = now()
    # Without a limit of its own the size is reserved all the same: the row is what counts files.
    limit = 2**62 if quota.size is None else quota.size
    reservation = Reservation(database, account, id, limit)
    with database.write(durable=False) as session:
        _lock(session, account.id)
        if quota.files is not None:
            _require_file(session, account.id, quota.files, moment)
        reservation.begin(session, size, moment)
    return reservation


def release(session: Session, id: uuid.UUID) -> None:
    """Let go of an upload's reservation: what came of it is recorded now."""
    session.execute(delete(UploadReservation).where(UploadReservation.id == id))


def _lock(session: Session, user_id: uuid.UUID) -> None:
    """Let one upload of a user at a time reserve; SQLite has one writer anyway."""
    session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))


def _taken(session: Session, user_id: uuid.UUID) -> int:
    """Return the bytes that are stored or reserved for a user.

    One statement, so one snapshot: a range that is recorded at the same time moves its
    bytes from the reservation to what is stored, and must count in exactly one of them.
    """
    kept = (
        select(func.coalesce(func.sum(OutgoingRange.size), 0))
        .where(OutgoingRange.user_id == user_id, OutgoingRange.stored)
        .scalar_subquery()
    )
    here = func.coalesce(OutgoingTransferable.bytes_received, 0)
    rest = case((UploadReservation.size > here, UploadReservation.size - here), else_=0)
    coming = (
        select(func.coalesce(func.sum(rest), 0))
        .select_from(UploadReservation)
        .outerjoin(OutgoingTransferable, OutgoingTransferable.id == UploadReservation.id)
        .where(UploadReservation.user_id == user_id)
        .scalar_subquery()
    )
    return int(session.scalar(select(kept + coming)) or 0)


def _unlisted(session: Session, user_id: uuid.UUID) -> int:
    """Return how many uploads are under way that have no record yet."""
    known = select(OutgoingTransferable.id).where(OutgoingTransferable.id == UploadReservation.id)
    query = select(func.count()).where(UploadReservation.user_id == user_id, ~known.exists())
    return session.scalar(query) or 0


def _require_file(session: Session, user_id: uuid.UUID, limit: int, now: datetime) -> None:
    if limit == 0:
        raise TooManyFiles(limit, DAY.total_seconds())
    earlier = limit - _unlisted(session, user_id) - 1
    if earlier < 0:
        raise TooManyFiles(limit, UNLISTED_WAIT)
    began_at = session.scalar(
        select(OutgoingTransferable.created_at)
        .where(OutgoingTransferable.user_id == user_id)
        .order_by(OutgoingTransferable.created_at.desc())
        .offset(earlier)
        .limit(1)
    )
    if began_at is not None and began_at + DAY > now:
        raise TooManyFiles(limit, (began_at + DAY - now).total_seconds())
