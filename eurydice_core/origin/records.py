"""What the database keeps of an upload: its transferable, its ranges, a small file's bytes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Insert, insert
from sqlalchemy.orm import Session

from eurydice_core.db.accounts import Account
from eurydice_core.db.outgoing import OutgoingContent, OutgoingRange, OutgoingTransferable
from eurydice_core.model.states import OutgoingState, RangeState
from eurydice_core.model.transferable import Outgoing

__all__ = ["StoredRange", "Upload", "queue_small_file", "range_row", "transferable_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is known of an upload when it begins."""

    account: Account
    name: str
    metadata: Mapping[str, str]
    size: int | None
    """None if it was not announced."""
    range_size: int
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class StoredRange:
    """A range whose bytes are in the storage, durable once `durable` is done."""

    offset: int
    size: int
    durable: Future[None] | None = None


def transferable_row(upload: Upload, now: datetime) -> OutgoingTransferable:
    """Return the row of an upload that goes on."""
    return OutgoingTransferable(
        id=upload.id,
        user_id=upload.account.id,
        created_at=upload.created_at,
        name=upload.name,
        user_provided_meta=dict(upload.metadata),
        piece_size=upload.range_size,
        size=upload.size,
        bytes_received=0,
        ranges_pending=0,
        ranges_transferred=0,
        ranges_canceled=0,
        received_at=now,
        state_changed_at=now,
    )


def range_row(upload: Upload, stored: StoredRange, now: datetime, *, whole: bool) -> OutgoingRange:
    """Return the row of a range that waits to be sent."""
    return OutgoingRange(
        transferable_id=upload.id,
        user_id=upload.account.id,
        byte_offset=stored.offset,
        size=stored.size,
        whole=whole,
        stored=stored.size > 0,
        state=RangeState.PENDING,
        created_at=now,
    )


def queue_small_file(
    session: Session, upload: Upload, content: bytes, sha1: bytes, sha256: bytes
) -> Outgoing:
    """Queue all of a file, its bytes in the same transaction; return what users see of it."""
    now = datetime.now(UTC)
    size = len(content)
    connection = session.connection()
    connection.execute(ADD_TRANSFERABLE, _small_transferable(upload, size, sha1, sha256, now))
    if size:
        connection.execute(ADD_CONTENT, {"transferable_id": upload.id, "data": content})
    connection.execute(ADD_RANGE, _small_range(upload, size, now))
    return Outgoing(
        id=upload.id,
        created_at=upload.created_at,
        name=upload.name,
        sha1=sha1,
        sha256=sha256,
        size=size,
        user_provided_meta=upload.metadata,
        submission_succeeded_at=now,
        state=OutgoingState.PENDING,
        bytes_received=size,
        bytes_transferred=0,
        ranges_transferred=0,
        last_range_finished_at=None,
    )


def _insert(table: Any) -> Insert:
    return insert(table.__table__).inline()  # no row number is asked for


# Made once: making a statement takes longer than what the database does with it.
ADD_TRANSFERABLE: Final = _insert(OutgoingTransferable)
ADD_RANGE: Final = _insert(OutgoingRange)
ADD_CONTENT: Final = _insert(OutgoingContent)


def _small_transferable(
    upload: Upload, size: int, sha1: bytes, sha256: bytes, now: datetime
) -> dict[str, object]:
    return {
        "id": upload.id,
        "user_id": upload.account.id,
        "created_at": upload.created_at,
        "name": upload.name,
        "user_provided_meta": upload.metadata,
        "piece_size": upload.range_size,
        "size": size,
        "bytes_received": size,
        "received_at": now,
        "submission_succeeded_at": now,
        "sha1": sha1,
        "sha256": sha256,
        "ranges_pending": 1,
        "state": OutgoingState.PENDING,
        "state_changed_at": now,
    }


def _small_range(upload: Upload, size: int, now: datetime) -> dict[str, object]:
    return {
        "transferable_id": upload.id,
        "user_id": upload.account.id,
        "byte_offset": 0,
        "size": size,
        "whole": True,
        "stored": size > 0,
        "inline": size > 0,
        "state": RangeState.PENDING,
        "created_at": now,
    }
