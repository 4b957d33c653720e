"""What the origin answers."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import Field

from eurydice_core.api.schemas import ListQuery, Schema, Timestamp
from eurydice_core.model.states import OutgoingState
from eurydice_core.model.transferable import Outgoing

__all__ = ["Association", "Figures", "OriginListQuery", "OutgoingTransferable", "Status"]


class OutgoingTransferable(Schema):
    """A file on its way to the destination."""

    id: uuid.UUID
    created_at: Timestamp
    """When the upload began."""
    name: str
    sha1: str | None
    sha256: str | None
    size: int | None
    user_provided_meta: dict[str, str]
    submission_succeeded: bool
    """Whether the upload is complete."""
    submission_succeeded_at: Timestamp | None
    state: OutgoingState
    progress: int | None
    """How much was sent, 0 to 100."""
    bytes_transferred: int
    finished_at: Timestamp | None
    speed: int | None
    """Bytes a second since the upload began."""
    estimated_finish_date: Timestamp | None

    @classmethod
    def of(cls, outgoing: Outgoing, now: datetime) -> OutgoingTransferable:
        """Return a transferable as it is shown now."""
        return cls(
            id=outgoing.id,
            created_at=outgoing.created_at,
            name=outgoing.name,
            sha1=outgoing.sha1.hex() if outgoing.sha1 is not None else None,
            sha256=outgoing.sha256.hex() if outgoing.sha256 is not None else None,
            size=outgoing.size,
            user_provided_meta=dict(outgoing.user_provided_meta),
            submission_succeeded=outgoing.submission_succeeded_at is not None,
            submission_succeeded_at=outgoing.submission_succeeded_at,
            state=outgoing.state,
            progress=outgoing.progress,
            bytes_transferred=outgoing.bytes_transferred,
            finished_at=outgoing.finished_at,
            speed=outgoing.speed(now),
            estimated_finish_date=outgoing.estimated_finish_date(now),
        )


class OriginListQuery(ListQuery):
    """The parameters of the origin's list."""

    submission_succeeded_after: str | None = Field(None, description="ISO 8601, inclusive.")
    submission_succeeded_before: str | None = Field(None, description="ISO 8601, inclusive.")
    transfer_finished_after: str | None = Field(None, description="ISO 8601, inclusive.")
    transfer_finished_before: str | None = Field(None, description="ISO 8601, inclusive.")


class Association(Schema):
    """Words that prove, on the destination, who you are here."""

    token: str
    expires_at: Timestamp


class Status(Schema):
    """How the link does."""

    maintenance: bool
    last_packet_sent_at: Timestamp | None


class Figures(Schema):
    """How much of everybody's is where; `recent` is the last hour."""

    pending_transferables: int
    ongoing_transferables: int
    recent_successes: int
    recent_errors: int
    queue_size: int
    """Bytes that wait to be sent."""
    last_packet_sent_at: Timestamp | None
