"""What waits at the origin, user by user, for whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from eurydice_core.db.counts import OutgoingCount
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable
from eurydice_core.db.tables import User
from eurydice_core.db.waiting import WaitingCount
from eurydice_core.model.states import OutgoingState
from eurydice_core.origin.pending import IS_PENDING

__all__ = ["Backlog", "backlog", "oldest_range", "recently_ended"]

ENDED = (OutgoingState.SUCCESS, OutgoingState.ERROR, OutgoingState.CANCELED)


@dataclass(slots=True)
class Backlog:
    """What waits of one user."""

    username: str
    ranges: int = 0
    bytes: int = 0
    transferables: dict[OutgoingState, int] = field(default_factory=dict)


def backlog(session: Session) -> list[Backlog]:
    """Return what waits, the users with most of it first."""
    pending = (
        select(User.username, func.sum(WaitingCount.ranges), func.sum(WaitingCount.bytes))
        .join(User, User.id == WaitingCount.user_id)
        .group_by(User.username)
        .having(func.sum(WaitingCount.ranges) > 0)
    )
    users = {
        username: Backlog(username, int(ranges), int(size))
        for username, ranges, size in session.execute(pending)
    }
    unfinished = (
        select(User.username, OutgoingCount.state, func.sum(OutgoingCount.total))
        .join(User, User.id == OutgoingCount.user_id)
        .where(OutgoingCount.state.in_((OutgoingState.PENDING, OutgoingState.ONGOING)))
        .group_by(User.username, OutgoingCount.state)
        .having(func.sum(OutgoingCount.total) > 0)
    )
    for username, state, count in session.execute(unfinished):
        users.setdefault(username, Backlog(username)).transferables[state] = int(count)
    return sorted(users.values(), key=lambda user: (-user.bytes, user.username))


def oldest_range(session: Session) -> datetime | None:
    """Return when the range came that waits longest."""
    return session.scalar(
        select(OutgoingRange.created_at).where(IS_PENDING).order_by(OutgoingRange.id).limit(1)
    )


def recently_ended(session: Session, since: datetime) -> Mapping[OutgoingState, int]:
    """Return how many ended after a moment, and how."""
    query = (
        select(OutgoingTransferable.state, func.count())
        .where(OutgoingTransferable.state.in_(ENDED), OutgoingTransferable.state_changed_at > since)
        .group_by(OutgoingTransferable.state)
    )
    return dict.fromkeys(ENDED, 0) | {state: count for state, count in session.execute(query)}
