"""What the destination answers."""

from __future__ import annotations

import uuid
from datetime import timedelta

from pydantic import Field

from eurydice_core.api.schemas import ListQuery, Schema, Timestamp
from eurydice_core.model.states import IncomingState
from eurydice_core.model.transferable import Incoming

__all__ = ["DestinationListQuery", "Figures", "IncomingTransferable", "Status"]


class IncomingTransferable(Schema):
    """A file that came, or comes."""

    id: uuid.UUID
    """The same as at the origin."""
    created_at: Timestamp
    """When the first of it came."""
    name: str
    sha1: str | None
    sha256: str | None
    size: int | None
    user_provided_meta: dict[str, str]
    state: IncomingState
    progress: int | None
    """How much is here, 0 to 100."""
    finished_at: Timestamp | None
    expires_at: Timestamp | None
    """When it will be removed; null unless it is there to be fetched."""
    bytes_received: int

    @classmethod
    def of(cls, incoming: Incoming, kept_for: timedelta) -> IncomingTransferable:
        """Return a transferable as it is shown where files are kept for that long."""
        return cls(
            id=incoming.id,
            created_at=incoming.created_at,
            name=incoming.name,
            sha1=incoming.sha1.hex() if incoming.sha1 is not None else None,
            sha256=incoming.sha256.hex() if incoming.sha256 is not None else None,
            size=incoming.size,
            user_provided_meta=dict(incoming.user_provided_meta),
            state=incoming.state,
            progress=incoming.progress,
            finished_at=incoming.finished_at,
            expires_at=incoming.expires_at(kept_for),
            bytes_received=incoming.bytes_received,
        )


class DestinationListQuery(ListQuery):
    """The parameters of the destination's list."""

    finished_after: str | None = Field(None, description="ISO 8601, inclusive.")
    finished_before: str | None = Field(None, description="ISO 8601, inclusive.")


class Status(Schema):
    """How the link does."""

    last_packet_received_at: Timestamp | None


class Figures(Schema):
    """How many of everybody's files are where; `recent` is the last hour."""

    ongoing_transferables: int
    recent_successes: int
    recent_errors: int
    last_packet_received_at: Timestamp | None
