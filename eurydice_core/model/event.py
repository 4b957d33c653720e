"""What event plugins are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = ["Event", "EventKind"]


class EventKind(StrEnum):
    """What happened."""

    SUBMITTED = "submitted"
    SENT = "sent"
    RECEIVED = "received"
    FAILED = "failed"
    DELIVERED = "delivered"
    DELETED = "deleted"
    """Taken back at the origin, or removed at the destination, by its user or an administrator."""
    REVOKED = "revoked"
    """The destination was told that the origin took it back or gave it up."""
    EXPIRED = "expired"
    """The file's time at the destination was over, or an administrator expired it."""
    SIGNED_IN = "signed_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened on this side."""

    kind: EventKind
    at: datetime
    side: str
    username: str | None = None
    """Account of this side it concerns, where one is known."""
    transferable_id: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    """More of it, such as `name`, `size`, `sha256`, `reason`."""
