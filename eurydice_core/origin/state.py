"""An outgoing transferable's state: it follows from its counters and from nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import and_, case, null, or_, select, update
from sqlalchemy.orm import Session

from eurydice_core.db.among import among
from eurydice_core.db.outgoing import OutgoingTransferable as Row
from eurydice_core.db.recorded_events import are_events_wanted, record_event
from eurydice_core.db.tables import User
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, RevocationReason

__all__ = ["refresh_states"]

FINAL = [state.value for state in OutgoingState if state.is_final]

# First match wins.
STATE = case(
    (Row.revocation_reason == RevocationReason.USER_CANCELED, OutgoingState.CANCELED.value),
    (or_(Row.ranges_error > 0, Row.revocation_reason != null()), OutgoingState.ERROR.value),
    (
        and_(
            Row.submission_succeeded_at != null(),
            Row.ranges_pending == 0,
            Row.ranges_canceled == 0,
        ),
        OutgoingState.SUCCESS.value,
    ),
    (
        and_(Row.ranges_transferred == 0, Row.ranges_canceled == 0),
        OutgoingState.PENDING.value,
    ),
    else_=OutgoingState.ONGOING.value,
)


EVENTS: Final = {
    OutgoingState.SUCCESS: EventKind.SENT,
    OutgoingState.ERROR: EventKind.FAILED,
    OutgoingState.CANCELED: EventKind.DELETED,
}


def refresh_states(
    session: Session, ids: Collection[uuid.UUID], now: datetime, *, by: str | None = None
) -> dict[uuid.UUID, OutgoingState]:
    """Bring the states of these in line with their counters; return those that changed.

    One that came to its end is to be announced to the destination from now on, and gives
    one event. `by` names the administrator who ended it, if one did.
    """
    announce_at = case((STATE.in_(FINAL), now), else_=null())
    rows = session.execute(
        update(Row)
        .where(among(session, Row.id, ids), Row.state != STATE)
        .values(state=STATE, state_changed_at=now, announce_at=announce_at, announced=0)
        .returning(Row.id, Row.state)
        .execution_options(synchronize_session=False)
    )
    changed = {row.id: row.state for row in rows}
    ended = [id for id, state in changed.items() if state.is_final]
    if ended and are_events_wanted(session):
        _record_ended(session, ended, {} if by is None else {"by": by})
    return changed


def _record_ended(session: Session, ids: Collection[uuid.UUID], more: Mapping[str, str]) -> None:
    rows = session.execute(
        select(Row.id, Row.state, Row.name, Row.size, Row.revocation_reason, User.username)
        .join(User, User.id == Row.user_id)
        .where(among(session, Row.id, ids))
    )
    for row in rows:
        failed = row.state is OutgoingState.ERROR
        record_event(
            session,
            EVENTS[row.state],
            username=row.username,
            transferable_id=row.id,
            name=row.name,
            size=row.size,
            **({"reason": row.revocation_reason} if failed else {}),
            **more,
        )
