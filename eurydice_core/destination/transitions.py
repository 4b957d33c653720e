"""Events of the destination: one for each change of a transferable's state."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from eurydice_core.db.among import among
from eurydice_core.db.incoming import IncomingTransferable as Row
from eurydice_core.db.incoming import OriginProfile
from eurydice_core.db.recorded_events import are_events_wanted, record_event
from eurydice_core.db.tables import User
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import IncomingState

__all__ = ["record_ended"]

EVENTS: Final = {
    IncomingState.SUCCESS: EventKind.RECEIVED,
    IncomingState.ERROR: EventKind.FAILED,
    IncomingState.REVOKED: EventKind.REVOKED,
    IncomingState.EXPIRED: EventKind.EXPIRED,
    IncomingState.REMOVED: EventKind.DELETED,
}


def record_ended(session: Session, ids: Collection[uuid.UUID], *, by: str | None = None) -> None:
    """Record an event for each of these, which this session brought to another final state.

    `by` names the administrator who did it, if one did.
    """
    if not ids or not are_events_wanted(session):
        return
    session.flush()
    rows = session.execute(
        select(Row.id, Row.state, Row.name, Row.size, Row.sha256, Row.reason, User.username)
        .join(OriginProfile, OriginProfile.profile == Row.profile)
        .outerjoin(User, User.id == OriginProfile.user_id)
        .where(among(session, Row.id, ids))
    )
    for row in rows:
        more: dict[str, Any] = {} if by is None else {"by": by}
        if row.reason is not None:
            more["reason"] = row.reason
        record_event(
            session,
            EVENTS[row.state],
            username=row.username,
            transferable_id=row.id,
            name=row.name,
            size=row.size,
            sha256=None if row.sha256 is None else row.sha256.hex(),
            **more,
        )
