"""What is still coming at the destination, user by user, for whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.db.tables import User
from eurydice_core.model.states import IncomingState

__all__ = ["Backlog", "backlog", "recently_ended"]

ENDED = tuple(state for state in IncomingState if state is not IncomingState.ONGOING)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is coming for one user; of everybody who is not associated, under no name."""

    username: str
    transferables: int
    bytes: int
    """What came of them so far."""


def backlog(session: Session) -> list[Backlog]:
    """Return what is coming, the users with most of it first."""
    query = (
        select(
            User.username,
            func.count(),
            func.sum(IncomingTransferable.bytes_received),
        )
        .join(OriginProfile, OriginProfile.profile == IncomingTransferable.profile)
        .outerjoin(User, User.id == OriginProfile.user_id)
        .where(IncomingTransferable.state == IncomingState.ONGOING)
        .group_by(User.username)
    )
    users = [Backlog(name or "", count, int(size)) for name, count, size in session.execute(query)]
    return sorted(users, key=lambda user: (-user.bytes, user.username))


def recently_ended(session: Session, since: datetime) -> Mapping[IncomingState, int]:
    """Return how many ended after a moment, and how."""
    query = (
        select(IncomingTransferable.state, func.count())
        .where(IncomingTransferable.state.in_(ENDED), IncomingTransferable.finished_at > since)
        .group_by(IncomingTransferable.state)
    )
    return dict.fromkeys(ENDED, 0) | {state: count for state, count in session.execute(query)}
