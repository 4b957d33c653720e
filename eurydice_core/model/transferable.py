"""A transferable as each side shows it: what is known of it, and what follows from that."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from eurydice_core.model.states import IncomingState, OutgoingState

__all__ = ["Incoming", "Outgoing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A transferable of the origin."""

    id: uuid.UUID
    created_at: datetime
    name: str
    sha1: bytes | None
    sha256: bytes | None
    size: int | None
    user_provided_meta: Mapping[str, str]
    submission_succeeded_at: datetime | None
    state: OutgoingState
    bytes_received: int
    bytes_transferred: int
    ranges_transferred: int
    last_range_finished_at: datetime | None

    @property
    def progress(self) -> int | None:
        """How much was sent, 0 to 100; None while the size is unknown."""
        if self.size is None:
            return None
        if self.size == 0:
            return 100 if self.ranges_transferred else 0
        return self.bytes_transferred * 100 // self.size

    @property
    def finished_at(self) -> datetime | None:
        """When the last byte was sent; None until then."""
        whole = self.submission_succeeded_at is not None and self.size == self.bytes_transferred
        return self.last_range_finished_at if whole else None

    def speed(self, now: datetime) -> int | None:
        """Bytes a second since the upload began; None in the first second."""
        seconds = int(((self.finished_at or now) - self.created_at).total_seconds())
        return self.bytes_transferred // seconds if seconds > 0 else None

    def estimated_finish_date(self, now: datetime) -> datetime | None:
        """When the rest will have been sent if it goes on like this; None if nothing tells."""
        speed = self.speed(now)
        if self.state.is_final or self.size is None or not speed:
            return None
        return now + timedelta(seconds=(self.size - self.bytes_transferred) / speed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A transferable of the destination."""

    id: uuid.UUID
    created_at: datetime
    name: str
    sha1: bytes | None
    sha256: bytes | None
    size: int | None
    user_provided_meta: Mapping[str, str]
    state: IncomingState
    reason: str | None
    bytes_received: int
    finished_at: datetime | None
    key: str
    """Where the storage keeps its bytes."""

    @property
    def progress(self) -> int | None:
        """How much is here, 0 to 100; None while the size is unknown."""
        if self.size is None:
            return None
        return 100 if self.size == 0 else self.bytes_received * 100 // self.size

    def expires_at(self, kept_for: timedelta) -> datetime | None:
        """When it will be removed; None unless it is there to be fetched."""
        if self.state is not IncomingState.SUCCESS or self.finished_at is None:
            return None
        return self.finished_at + kept_for
