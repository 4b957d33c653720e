"""What staff see of everybody's transferables, as far as both sides have it in common."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from eurydice_core.db.scan import Found, write_position
from eurydice_core.db.tables import User
from eurydice_core.errors import NotFound
from eurydice_core.interfaces.administration import Listed, TransferableFacts
from eurydice_core.model.transferable import Incoming, Outgoing

__all__ = ["SHOWN_PIECES", "facts_of", "listed", "owner_id"]

SHOWN_PIECES: Final = 500
"""Ranges or extents shown of one transferable."""


def facts_of(
    shown: Incoming | Outgoing, username: str | None, *, can_end: bool
) -> TransferableFacts:
    """Return what a list says of a transferable, with what its user sees of it."""
    return TransferableFacts(
        id=shown.id,
        name=shown.name,
        username=username,
        size=shown.size,
        state=shown.state,
        progress=shown.progress,
        created_at=shown.created_at,
        finished_at=shown.finished_at,
        can_end=can_end,
    )


def listed(found: Found, facts: Sequence[TransferableFacts]) -> Listed[TransferableFacts]:
    """Return what was found as a page, which says where the next one begins."""
    cut_at = found.next.created_at if found.was_cut and found.next is not None else None
    return Listed(facts, write_position(found.next), cut_at)


def owner_id(session: Session, username: str) -> uuid.UUID:
    """Return the account of a name.

    Raises:
        NotFound: there is none.
    """
    user_id = session.scalar(select(User.id).where(User.username == username))
    if user_id is None:
        raise NotFound(f"no user {username!r}")
    return user_id
