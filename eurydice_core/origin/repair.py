"""Sending again just what a repair ticket asks for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from loguru import logger
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.errors import Conflict, Gone, InvalidRequest, NotFound
from eurydice_core.installation import Installation
from eurydice_core.model.states import RangeState
from eurydice_core.origin.state import refresh_states
from eurydice_core.protocol.repair import Ticket, read_ticket

__all__ = ["Repair", "apply_ticket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What a ticket put back into the queue."""

    transferable_id: uuid.UUID
    ranges: int
    bytes: int


def apply_ticket(
    installation: Installation,
    text: str,
    *,
    user_id: uuid.UUID | None = None,
    transferable_id: uuid.UUID | None = None,
) -> Repair:
    """Queue again what a ticket asks for; what is queued already stays as it is.

    Args:
        installation: the origin.
        text: the ticket.
        user_id: whose the transferable must be; None for an administrator.
        transferable_id: which transferable the ticket must be for, if that is known.

    Raises:
        InvalidRequest: the ticket is mistyped, forged, or for another transferable.
        NotFound: there is no such transferable, or it is somebody else's.
        Conflict: it was taken back.
        Gone: its data is no longer kept.
    """
    ticket = read_ticket(text, installation.repair_key)
    if transferable_id not in (None, ticket.transferable_id):
        raise InvalidRequest(f"the ticket is for transferable {ticket.transferable_id}")
    now = datetime.now(UTC)
    with installation.database.write() as session:
        row = session.get(OutgoingTransferable, ticket.transferable_id, with_for_update=True)
        if row is None or user_id not in (None, row.user_id):
            raise NotFound(f"no transferable {ticket.transferable_id}")
        if row.submission_succeeded_at is None or row.revocation_reason is not None:
            raise Conflict(f"the transferable is {row.state} and is not sent any more")
        _check_ends(ticket, row)
        asked = or_(
            *(
                OutgoingRange.byte_offset.between(first * row.piece_size, last * row.piece_size)
                for first, last in ticket.runs
            )
        )
        sizes = _requeue(session, row.id, asked)
        row.ranges_pending += len(sizes)
        row.ranges_transferred -= len(sizes)
        row.bytes_transferred -= sum(sizes)
        session.flush()
        refresh_states(session, [row.id], now)
    logger.info("transferable {}: {} ranges queued for repair", row.id, len(sizes))
    return Repair(transferable_id=row.id, ranges=len(sizes), bytes=sum(sizes))


def _check_ends(ticket: Ticket, row: OutgoingTransferable) -> None:
    last = max(0, (row.size or 0) - 1) // row.piece_size
    if any(first > end or end > last for first, end in ticket.runs):
        raise InvalidRequest("the ticket asks for pieces that the transferable does not have")


def _requeue(session: Session, id: uuid.UUID, asked: ColumnElement[bool]) -> list[int]:
    """Put sent ranges back into the queue; return their sizes."""
    sent = [
        OutgoingRange.transferable_id == id,
        OutgoingRange.state == RangeState.TRANSFERRED,
        asked,
    ]
    # Locked first: the cleaner may be claiming them at the same moment.
    locked = session.execute(
        select(OutgoingRange.stored, OutgoingRange.freeing, OutgoingRange.size)
        .where(*sent)
        .order_by(OutgoingRange.id)
        .with_for_update()
    ).all()
    if any(row.size > 0 and (row.freeing or not row.stored) for row in locked):
        raise Gone("the data is no longer kept: send the file again")
    rows = session.execute(
        update(OutgoingRange)
        .where(*sent)
        .values(state=RangeState.PENDING, finished_at=None, sends_left=0)
        .returning(OutgoingRange.size)
        .execution_options(synchronize_session=False)
    )
    return [row.size for row in rows]
