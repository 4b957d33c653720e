"""Taking a transferable back: nothing more of it is sent, and the destination is told."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable, RevocationRow
from eurydice_core.model.states import OutgoingState, RangeState, RevocationReason
from eurydice_core.origin.state import refresh_states

__all__ = ["revoke"]


def revoke(
    session: Session,
    transferable_id: uuid.UUID,
    reason: RevocationReason,
    now: datetime,
    *,
    by: str | None = None,
) -> OutgoingState | None:
    """Take it back; return the state it had before, None if there is no such transferable.

    One that was revoked before stays as it was: revoking again changes nothing.
    `by` names the administrator who did it, for the event.
    """
    row = session.get(OutgoingTransferable, transferable_id, with_for_update=True)
    if row is None:
        return None
    before = row.state
    if row.revocation_reason is not None:
        return before
    canceled = session.execute(
        update(OutgoingRange)
        .where(
            OutgoingRange.transferable_id == transferable_id,
            OutgoingRange.state == RangeState.PENDING,
        )
        .values(state=RangeState.CANCELED, finished_at=now)
        .returning(OutgoingRange.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.execute(
        update(OutgoingRange)
        .where(OutgoingRange.transferable_id == transferable_id)
        .values(sends_left=0)
        .execution_options(synchronize_session=False)
    )
    row.revocation_reason = reason
    row.ranges_pending -= len(canceled)
    row.ranges_canceled += len(canceled)
    session.add(RevocationRow(transferable_id=transferable_id, reason=reason, created_at=now))
    session.flush()
    refresh_states(session, [transferable_id], now, by=by)
    return before
