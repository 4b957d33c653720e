"""How often a user may begin an upload: one limit for all API processes.

The generic cell rate algorithm (ITU-T I.371): one moment a user, moved on by each upload
that is admitted. Uploads may come at once until the period is used up; then one as often
as the rate says. What is refused costs nothing of it.

Moments are of the database's clock, which all processes share. One that lies two periods ahead,
further than the algorithm can put it, is from before a step back of that clock: it has passed.
"""

from __future__ import annotations

import uuid

from sqlalchemy import and_, case, select

from eurydice_core.db.admission import UploadRate
from eurydice_core.db.engine import Database
from eurydice_core.db.leases import DatabaseClock, database_now
from eurydice_core.db.upsert import insert
from eurydice_core.errors import UploadsThrottled
from eurydice_core.model.quantities import Rate

__all__ = ["UploadThrottle"]

MICROSECONDS = 1_000_000


class UploadThrottle:
    """Admits uploads at a rate, or all of them where there is none."""

    def __init__(
        self,
        database: Database,
        rate: Rate | None,
        *,
        now: DatabaseClock = database_now,
    ) -> None:
        self._database = database
        self._rate = rate
        self._now = now

    def admit(self, user_id: uuid.UUID) -> None:
        """Count one upload; blocking.

        Raises:
            UploadsThrottled: it comes too soon.
        """
        if self._rate is None:
            return
        period = self._rate.seconds * MICROSECONDS
        step = period // self._rate.count
        earned = UploadRate.earned_at
        with self._database.write(durable=False) as session:
            now = round(self._now(session).timestamp() * MICROSECONDS)
            counts = and_(earned > now, earned <= now + 2 * period)
            later = case((counts, earned), else_=now) + step
            admitted = session.scalar(
                insert(session, UploadRate)
                .values(user_id=user_id, earned_at=now + step)
                .on_conflict_do_update(
                    index_elements=[UploadRate.user_id],
                    set_={"earned_at": later},
                    where=later <= now + period,
                )
                .returning(earned)
            )
            if admitted is not None:
                return
            known = session.scalar(select(earned).where(UploadRate.user_id == user_id))
        wait = (known or now) + step - period - now
        raise UploadsThrottled(str(self._rate), wait / MICROSECONDS)
