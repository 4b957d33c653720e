"""Which sender has what on its way: claimed before it is read, let go once it is sent or not.

Several senders may fill several links from one queue. Planning is a matter of reading, so
two of them may choose the same ranges; the claim decides, without anybody waiting.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import ColumnElement, delete, literal, select
from sqlalchemy.orm import Session

from eurydice_core.db.among import among
from eurydice_core.db.outgoing import OutgoingClaim, OutgoingRange
from eurydice_core.db.upsert import insert
from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.installation import Installation
from eurydice_core.model.queue import PendingRange
from eurydice_core.origin.pending import IS_PENDING

__all__ = ["SENDER", "Claims"]

SENDER: Final = "sender"
"""Prefix of the lease names of senders."""


class Claims:
    """What this sender has on its way, and who else sends."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._leases = installation.leases
        self._sender = installation.leases.holder
        self._owed: set[int] = set()
        """What is to be given back, or may have been claimed: the database did not answer."""
        self._parked: dict[int, float] = {}
        """Ranges that stay claimed, so that nobody sends them, and until when."""

    def look(self) -> None:
        """Say that this sender lives, and void the claims of those that do not.

        Raises:
            DatabaseUnavailable: nobody can be asked.
        """
        now = time.monotonic()
        due = {id for id, until in self._parked.items() if until <= now}
        self._parked = {id: until for id, until in self._parked.items() if id not in due}
        self._owed |= due
        self._settle()
        self._leases.place(SENDER)
        with self._database.read() as session:
            claiming = set(session.scalars(select(OutgoingClaim.sender).distinct()))
        if claiming <= {self._sender}:
            return
        # Asked in this order: who claims has had a lease before.
        dead = claiming - self._leases.living(f"{SENDER}/") - {self._sender}
        if dead:
            with self._database.write(durable=False) as session:
                session.execute(delete(OutgoingClaim).where(OutgoingClaim.sender.in_(dead)))

    def take(self, chosen: Sequence[PendingRange], *, again: bool) -> list[PendingRange]:
        """Claim ranges; return those that no other sender claimed or sent meanwhile.

        Args:
            chosen: what is to be sent next.
            again: whether it was sent before.

        Raises:
            DatabaseUnavailable: nobody can be asked; what may be claimed is given back later.
        """
        if not chosen:
            return []
        ids = {item.id for item in chosen}
        try:
            mine = self._claim(ids, OutgoingRange.sends_left > 0 if again else IS_PENDING)
        except DatabaseUnavailable:
            self._owed |= ids
            raise
        return [item for item in chosen if item.id in mine]

    def _claim(self, ids: Collection[int], waits: ColumnElement[bool]) -> set[int]:
        with self._database.write(durable=False) as session:
            wanted = among(session, OutgoingRange.id, ids)
            free = (
                select(OutgoingRange.id, literal(self._sender))
                .where(wanted, waits)
                .with_for_update(skip_locked=True)
            )
            claimed = session.scalars(
                insert(session, OutgoingClaim)
                .from_select([OutgoingClaim.range_id, OutgoingClaim.sender], free)
                .on_conflict_do_nothing()
                .returning(OutgoingClaim.range_id)
            )
            return set(claimed)

    def release(self, session: Session, ranges: Collection[int]) -> None:
        """Let go of ranges, whether they were sent or not."""
        session.execute(
            delete(OutgoingClaim)
            .where(
                among(session, OutgoingClaim.range_id, ranges),
                OutgoingClaim.sender == self._sender,
            )
            .execution_options(synchronize_session=False)
        )

    def park(self, item: PendingRange, seconds: float) -> None:
        """Keep a range claimed for so long: it cannot be read, and others go first."""
        self._parked[item.id] = time.monotonic() + seconds

    def let_go(self, ranges: Collection[PendingRange]) -> None:
        """Give back what was not sent; later, if the database does not answer now."""
        self._owed.update(item.id for item in ranges if item.id not in self._parked)
        with suppress(DatabaseUnavailable):
            self._settle()

    def _settle(self) -> None:
        if not self._owed:
            return
        with self._database.write(durable=False) as session:
            self.release(session, self._owed)
        self._owed.clear()
