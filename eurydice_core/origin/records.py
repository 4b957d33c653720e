"""What the database keeps of an upload: its transferable, its ranges, a small file's bytes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Insert, bindparam, insert, update
from sqlalchemy.orm import Session

from eurydice_core.db.accounts import Account
from eurydice_core.db.outgoing import OutgoingContent, OutgoingRange, OutgoingTransferable
from eurydice_core.db.recorded_events import record_event
from eurydice_core.errors import Conflict
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, RangeState
from eurydice_core.model.transferable import Outgoing
from eurydice_core.origin.catalogue import shown

__all__ = [
    "StoredRange",
    "Upload",
    "begin_record",
    "complete_record",
    "queue_small_file",
    "record_range",
]

ROWS: Final = OutgoingTransferable.__table__
ENDED: Final = (OutgoingState.CANCELED, OutgoingState.ERROR)


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
    digest: bytes
    """BLAKE3 of its bytes."""
    durable: Future[None] | None = None


def begin_record(session: Session, upload: Upload, now: datetime) -> None:
    """Record an upload of which there is nothing yet."""
    counters = {"bytes_received": 0, "ranges_pending": 0}
    values = {**_transferable(upload, now), **counters, "size": upload.size}
    session.connection().execute(ADD_TRANSFERABLE, values)


def record_range(
    session: Session, upload: Upload, stored: StoredRange, now: datetime, *, whole: bool
) -> None:
    """Queue a range of an upload that is recorded.

    Its state need not be looked at again: one more range that waits changes none.

    Raises:
        Conflict: the user took the transferable back meanwhile.
    """
    connection = session.connection()
    grown = {"upload": upload.id, "more": stored.size, "now": now}
    if connection.execute(GROW, grown).first() is None:
        raise Conflict("the transferable was revoked while it was being uploaded")
    kept = {"stored": stored.size > 0, "inline": False, "digest": stored.digest}
    values = {**_range(upload, now), **kept, "byte_offset": stored.offset}
    connection.execute(ADD_RANGE, {**values, "size": stored.size, "whole": whole})


def complete_record(
    session: Session, upload: Upload, size: int, sha1: bytes, sha256: bytes
) -> Outgoing:
    """Record that all of an upload is here; return what users see of it."""
    facts = {"size": size, "sha1": sha1, "sha256": sha256}
    complete = {"upload": upload.id, **{f"new_{name}": value for name, value in facts.items()}}
    session.connection().execute(COMPLETE, {**complete, "now": datetime.now(UTC)})
    outgoing = shown(session.get_one(OutgoingTransferable, upload.id))
    _record_submitted(session, upload, outgoing)
    return outgoing


def queue_small_file(
    session: Session,
    upload: Upload,
    content: bytes,
    *,
    sha1: bytes,
    sha256: bytes,
    digest: bytes,
) -> Outgoing:
    """Queue all of a file, its bytes in the same transaction; return what users see of it.

    `digest` is the BLAKE3 of its only range.
    """
    now = datetime.now(UTC)
    size = len(content)
    connection = session.connection()
    connection.execute(ADD_TRANSFERABLE, _small_transferable(upload, size, sha1, sha256, now))
    if size:
        connection.execute(ADD_CONTENT, {"transferable_id": upload.id, "data": content})
    connection.execute(ADD_RANGE, {**_small_range(upload, size, now), "digest": digest})
    outgoing = Outgoing(
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
    _record_submitted(session, upload, outgoing)
    return outgoing


def _record_submitted(session: Session, upload: Upload, outgoing: Outgoing) -> None:
    record_event(
        session,
        EventKind.SUBMITTED,
        username=upload.account.username,
        transferable_id=outgoing.id,
        name=outgoing.name,
        size=outgoing.size,
        sha256=outgoing.sha256.hex() if outgoing.sha256 else None,
    )


def _insert(table: Any) -> Insert:
    return insert(table.__table__).inline()  # no row number is asked for


# Made once: making a statement takes longer than what the database does with it.
ADD_TRANSFERABLE: Final = _insert(OutgoingTransferable)
ADD_RANGE: Final = _insert(OutgoingRange)
ADD_CONTENT: Final = _insert(OutgoingContent)
GROW: Final = (
    update(ROWS)  # type: ignore[arg-type]
    .where(ROWS.c.id == bindparam("upload"), ROWS.c.state.not_in(ENDED))
    .values(
        bytes_received=ROWS.c.bytes_received + bindparam("more"),
        ranges_pending=ROWS.c.ranges_pending + 1,
        received_at=bindparam("now"),
    )
    .returning(ROWS.c.id)
)
COMPLETE: Final = (
    update(ROWS)  # type: ignore[arg-type]
    .where(ROWS.c.id == bindparam("upload"))
    .values(
        size=bindparam("new_size"),
        sha1=bindparam("new_sha1"),
        sha256=bindparam("new_sha256"),
        submission_succeeded_at=bindparam("now"),
    )
)


def _transferable(upload: Upload, now: datetime) -> dict[str, object]:
    return {
        "id": upload.id,
        "user_id": upload.account.id,
        "created_at": upload.created_at,
        "name": upload.name,
        "user_provided_meta": upload.metadata,
        "piece_size": upload.range_size,
        "received_at": now,
        "state": OutgoingState.PENDING,
        "state_changed_at": now,
    }


def _range(upload: Upload, now: datetime) -> dict[str, object]:
    return {
        "transferable_id": upload.id,
        "user_id": upload.account.id,
        "state": RangeState.PENDING,
        "created_at": now,
    }


def _small_transferable(
    upload: Upload, size: int, sha1: bytes, sha256: bytes, now: datetime
) -> dict[str, object]:
    return {
        **_transferable(upload, now),
        "size": size,
        "bytes_received": size,
        "submission_succeeded_at": now,
        "sha1": sha1,
        "sha256": sha256,
        "ranges_pending": 1,
    }


def _small_range(upload: Upload, size: int, now: datetime) -> dict[str, object]:
    return {
        **_range(upload, now),
        "byte_offset": 0,
        "size": size,
        "whole": True,
        "stored": size > 0,
        "inline": size > 0,
    }
