"""The origin's queue as a scheduler sees it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

__all__ = ["PendingRange", "WaitingUser"]


@dataclass(frozen=True, slots=True)
class PendingRange:
    """A range that waits to be sent."""

    id: int
    """Grows with time: a smaller id was queued earlier."""
    transferable_id: uuid.UUID
    user_id: uuid.UUID
    offset: int
    """Where it begins in its file, in bytes."""
    size: int
    """In bytes; 0 for an empty file."""
    whole: bool
    """Whether it is all of its file."""


@dataclass(frozen=True, slots=True)
class WaitingUser:
    """A user with something in the queue."""

    id: uuid.UUID
    priority: int
    """Weight of the user: 0 and up, higher is more."""
    pending_bytes: int
    oldest: datetime
    """When the user's oldest waiting range was queued."""
