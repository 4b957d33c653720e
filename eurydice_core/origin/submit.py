"""An upload: bytes come in, ranges are stored and queued while the rest still comes.

No lock and no transaction is ever held while the client is waited for. A range joins the
queue once it is durable and one more byte came or the upload ended: the last range and
the digests of the whole appear together.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from loguru import logger
from sqlalchemy.orm import Session

from eurydice_core.db.accounts import Account
from eurydice_core.db.outgoing import OutgoingRange, OutgoingTransferable, range_key
from eurydice_core.errors import (
    Conflict,
    EurydiceError,
    InvalidRequest,
    SizeMismatch,
    StorageFull,
    TooLarge,
)
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import Buffer, ObjectWriter
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import OutgoingState, RangeState, RevocationReason
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.state import refresh_states

__all__ = ["MAX_NAME", "Submission", "failure_reason"]

MAX_NAME = 255  # characters
HASH_IN_PARALLEL_FROM = 256 * 1024
"""Bytes; less is hashed sooner than it is handed to another thread."""


@dataclass(frozen=True, slots=True)
class StoredRange:
    """A range whose bytes are in the storage, durable once `durable` is done."""

    offset: int
    size: int
    durable: Future[None] | None = None


class Submission:
    """One upload. Its methods block, and are called one at a time."""

    def __init__(
        self,
        installation: Installation,
        account: Account,
        *,
        name: str = "",
        metadata: Mapping[str, str] | None = None,
        size: int | None = None,
    ) -> None:
        """Begin; nothing is written before the first range is complete.

        Raises:
            TooLarge: the announced size is more than this side takes.
            InvalidRequest: the name is too long.
        """
        self._limit = installation.settings.upload.max_size
        if size is not None and size > self._limit:
            raise TooLarge(self._limit)
        if len(name) > MAX_NAME:
            raise InvalidRequest(f"the name has {len(name)} characters; {MAX_NAME} is the most")
        self.id = uuid.uuid4()
        self._installation = installation
        self._account = account
        self._name, self._metadata, self._size = name, dict(metadata or {}), size
        self._range_size = installation.settings.upload.range_size
        self._created_at = datetime.now(UTC)
        self._received = 0
        self._sha1, self._sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
        self._recorded = False
        self._held: StoredRange | None = None
        self._open: ExitStack | None = None
        self._writer: ObjectWriter | None = None
        self._start = 0
        self._threads: ThreadPoolExecutor | None = None

    def write(self, data: Buffer) -> None:
        """Take the next bytes.

        Raises:
            SizeMismatch: more came than were announced.
            TooLarge: more came than this side takes.
            Conflict: the user took the transferable back meanwhile.
            StorageError: they cannot be kept.
        """
        view = memoryview(data)
        self._check_length(self._received + len(view))
        hashed = self._hash(view)
        rest = view
        while len(rest):
            taken = rest[: self._start + self._range_size - self._received]
            self._into_range(taken)
            rest = rest[len(taken) :]
        if hashed is not None:
            hashed.result()

    def finish(self) -> uuid.UUID:
        """End the upload: the transferable is durable and queued when this returns its id.

        Raises:
            SizeMismatch: fewer bytes came than were announced.
            Conflict: the user took the transferable back meanwhile.
            StorageError: the last range cannot be kept.
        """
        if self._size is not None and self._received != self._size:
            raise SizeMismatch(self._size, self._received)
        self._size = self._received
        self._close_range()
        last = self._held or StoredRange(0, 0)
        if last.durable is not None:
            last.durable.result()
        self._release_threads()
        with self._installation.database.write() as session:
            row = self._record(session, last)
            row.size = self._received
            row.sha1, row.sha256 = self._sha1.digest(), self._sha256.digest()
            row.submission_succeeded_at = datetime.now(UTC)
        self._held = None
        self._installation.events.tell(
            EventKind.SUBMITTED,
            username=self._account.username,
            transferable_id=self.id,
            name=self._name,
            size=self._received,
            sha256=self._sha256.hexdigest(),
        )
        return self.id

    def fail(self, reason: RevocationReason) -> None:
        """Give the upload up, keep nothing of it, and have the destination told."""
        self._discard_range()
        self._release_threads()
        now = datetime.now(UTC)
        with self._installation.database.write() as session:
            if not self._recorded:
                session.add(self._row(now))
                self._recorded = True
                session.flush()
            revoke(session, self.id, reason, now)
        self._installation.events.tell(
            EventKind.FAILED,
            username=self._account.username,
            transferable_id=self.id,
            name=self._name,
            reason=reason,
        )

    def _check_length(self, received: int) -> None:
        if self._size is not None and received > self._size:
            raise SizeMismatch(self._size, received)
        if received > self._limit:
            raise TooLarge(self._limit)

    def _hash(self, data: memoryview) -> Future[None] | None:
        """Hash the data; where it pays, one digest in another thread until the result is asked."""
        if len(data) < HASH_IN_PARALLEL_FROM:
            self._sha1.update(data)
            self._sha256.update(data)
            return None
        beside = self._beside().submit(self._sha1.update, data)
        self._sha256.update(data)
        return beside

    def _into_range(self, data: memoryview) -> None:
        if self._writer is None:
            self._start = self._received
            self._open = ExitStack()
            self._writer = self._open.enter_context(
                self._installation.storage.write(range_key(self.id, self._start))
            )
        self._writer.write(data)
        self._received += len(data)
        if self._held is not None and self._held.durable is not None and self._held.durable.done():
            self._queue_held()
        if self._received - self._start == self._range_size:
            self._close_range()

    def _close_range(self) -> None:
        """End the open range; making it durable goes on while the next one comes."""
        stack, self._open, self._writer = self._open, None, None
        if stack is None:
            return
        self._queue_held()
        size = self._received - self._start
        if size == self._range_size:
            self._held = StoredRange(self._start, size, self._beside().submit(stack.close))
        else:
            stack.close()
            self._held = StoredRange(self._start, size)
        self._start = self._received

    def _discard_range(self) -> None:
        """Leave the open range's `with` block by an exception, so that nothing of it stays."""
        stack, self._open, self._writer = self._open, None, None
        held, self._held = self._held, None
        try:
            if stack is not None:
                stack.__exit__(InvalidRequest, InvalidRequest("the upload was given up"), None)
            if held is not None:
                if held.durable is not None:
                    held.durable.result()
                self._installation.storage.delete([range_key(self.id, held.offset)])
        except EurydiceError as error:
            logger.warning("upload {}: what came of it may stay in the storage: {}", self.id, error)

    def _queue_held(self) -> None:
        """Queue the range before the one that is coming now."""
        held, self._held = self._held, None
        if held is None:
            return
        if held.durable is not None:
            held.durable.result()
        with self._installation.database.write() as session:
            self._record(session, held)

    def _beside(self) -> ThreadPoolExecutor:
        """Return this upload's threads, which small uploads never need."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, thread_name_prefix="upload")
        return self._threads

    def _release_threads(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True)

    def _record(self, session: Session, stored: StoredRange) -> OutgoingTransferable:
        now = datetime.now(UTC)
        if self._recorded:
            row = session.get_one(OutgoingTransferable, self.id, with_for_update=True)
            if row.state in (OutgoingState.CANCELED, OutgoingState.ERROR):
                raise Conflict("the transferable was revoked while it was being uploaded")
        else:
            row = self._row(now)
            session.add(row)
            session.flush()  # before the range that points to it
        row.bytes_received += stored.size
        row.ranges_pending += 1
        row.received_at = now
        session.add(self._range_row(stored, now))
        session.flush()
        refresh_states(session, [self.id], now)
        self._recorded = True
        return row

    def _row(self, now: datetime) -> OutgoingTransferable:
        return OutgoingTransferable(
            id=self.id,
            user_id=self._account.id,
            created_at=self._created_at,
            name=self._name,
            user_provided_meta=self._metadata,
            piece_size=self._range_size,
            size=self._size,
            bytes_received=0,
            ranges_pending=0,
            ranges_transferred=0,
            ranges_canceled=0,
            received_at=now,
            state_changed_at=now,
        )

    def _range_row(self, stored: StoredRange, now: datetime) -> OutgoingRange:
        return OutgoingRange(
            transferable_id=self.id,
            user_id=self._account.id,
            byte_offset=stored.offset,
            size=stored.size,
            whole=self._size == stored.size,
            stored=stored.size > 0,
            state=RangeState.PENDING,
            created_at=now,
        )


def failure_reason(error: BaseException) -> RevocationReason:
    """Return what the destination is told about an upload that ended with this error."""
    if isinstance(error, SizeMismatch):
        return RevocationReason.UPLOAD_SIZE_MISMATCH
    if isinstance(error, StorageFull):
        return RevocationReason.OBJECT_STORAGE_FULL
    return RevocationReason.UNEXPECTED_EXCEPTION
