"""Which sender has what on its way: claimed before it is read, let go once it is sent or not.

Several senders may fill several links from one queue. Planning is a matter of reading, so
two of them may choose the same ranges; the claim decides, without anybody waiting.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress

from sqlalchemy import select, update

from eurydice_core.db.facts import SENDER
from eurydice_core.db.outgoing import OutgoingRange
from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.installation import Installation
from eurydice_core.model.queue import PendingRange
from eurydice_core.origin.pending import IS_PENDING, nobody_sends
from eurydice_core.origin.state import chunks

__all__ = ["Claims"]


class Claims:
    """What this sender has on its way, and who else sends."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._leases = installation.leases
        self._owed: set[int] = set()
        """What is to be given back, should the database not have answered."""

    @property
    def sender(self) -> uuid.UUID:
        """Who claims."""
        return self._leases.holder

    def senders(self) -> set[uuid.UUID]:
        """Return the senders that live, this one among them; what the others claimed is free.

        Raises:
            DatabaseUnavailable: nobody can be asked.
        """
        self._settle()
        self._leases.place(SENDER)
        return self._leases.living(f"{SENDER}/") | {self.sender}

    def take(
        self, chosen: Sequence[PendingRange], senders: Collection[uuid.UUID], *, again: bool
    ) -> list[PendingRange]:
        """Claim ranges; return those that no other sender claimed or sent meanwhile.

        Args:
            chosen: what is to be sent next.
            senders: the senders that live.
            again: whether it was sent before.
        """
        if not chosen:
            return []
        waits = OutgoingRange.sends_left > 0 if again else IS_PENDING
        mine: set[int] = set()
        with self._database.write(durable=False) as session:
            for ids in chunks({item.id for item in chosen}):
                free = (
                    select(OutgoingRange.id)
                    .where(OutgoingRange.id.in_(ids), waits, nobody_sends(senders))
                    .with_for_update(skip_locked=True)
                )
                claimed = update(OutgoingRange).where(OutgoingRange.id.in_(free))
                mine.update(
                    session.scalars(
                        claimed.values(sender=self.sender)
                        .returning(OutgoingRange.id)
                        .execution_options(synchronize_session=False)
                    )
                )
        return [item for item in chosen if item.id in mine]

    def let_go(self, ranges: Collection[PendingRange]) -> None:
        """Give back what was not sent; later, if the database does not answer now."""
        self._owed.update(item.id for item in ranges)
        with suppress(DatabaseUnavailable):
            self._settle()

    def _settle(self) -> None:
        if not self._owed:
            return
        with self._database.write(durable=False) as session:
            for ids in chunks(self._owed):
                session.execute(
                    update(OutgoingRange)
                    .where(OutgoingRange.id.in_(ids), OutgoingRange.sender == self.sender)
                    .values(sender=None)
                    .execution_options(synchronize_session=False)
                )
        self._owed.clear()
