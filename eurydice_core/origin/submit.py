"""An upload: bytes come in, ranges are stored and queued while the rest still comes.

No lock and no transaction is ever held while the client is waited for. A range joins the
queue once it is durable and one more byte came or the upload ended: the last range and
the digests of the whole appear together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial

from blake3 import blake3
from sqlalchemy import update
from sqlalchemy.orm import Session

from eurydice_core.db.accounts import Account
from eurydice_core.db.admission import UploadReservation
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.errors import InvalidRequest, SizeMismatch, StorageFull, TooLarge
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.model.states import RevocationReason
from eurydice_core.model.transferable import Outgoing
from eurydice_core.origin.cutter import RangeCutter
from eurydice_core.origin.digests import Digests
from eurydice_core.origin.idempotency import Key, claim, confirm, release
from eurydice_core.origin.quota import Reservation
from eurydice_core.origin.records import (
    StoredRange,
    Upload,
    begin_record,
    complete_record,
    queue_small_file,
    record_range,
)
from eurydice_core.origin.revoke import revoke

__all__ = ["MAX_NAME", "Submission", "failure_reason"]

MAX_NAME = 255  # characters
HASH_IN_PARALLEL_FROM = 256 * 1024
"""Bytes; less is hashed sooner than it is handed to another thread."""


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
        digests: Mapping[str, bytes] | None = None,
        key: Key | None = None,
    ) -> None:
        """Begin; nothing is written before the first range is complete.

        Args:
            installation: the origin.
            account: whose file it is.
            name: the file's name.
            metadata: what its user says of it.
            size: how many bytes are to come, if that is known.
            digests: what they must give, by the names of `eurydice_core.origin.digests`.
            key: what stands for this upload, should its user try again; to be claimed first.

        Raises:
            TooLarge: the announced size is more than this side takes.
            InvalidRequest: the name is too long.
        """
        settings = installation.settings.upload
        self._limit = settings.max_size
        if size is not None and size > self._limit:
            raise TooLarge(self._limit)
        if len(name) > MAX_NAME:
            raise InvalidRequest(f"the name has {len(name)} characters; {MAX_NAME} is the most")
        self._installation = installation
        self._upload = Upload(
            account=account,
            name=name,
            metadata=dict(metadata or {}),
            size=size,
            range_size=settings.range_size,
        )
        self.id = self._upload.id
        self._digests = Digests(digests or {})
        self._key = key
        self._recorded = False
        self._ranges = RangeCutter(
            installation.storage, self.id, settings.range_size, installation.upload_workers
        )
        self._noted_at = time.monotonic()
        self.room: Reservation | None = None
        """Of a user with a quota: what this upload may take of it."""

    @property
    def has_key(self) -> bool:
        """Whether a key is to be claimed."""
        return self._key is not None

    def claim(self) -> Outgoing | None:
        """Take the key, if there is one; return the transferable that it stands for already.

        Raises:
            KeyReused: it stands for an upload that announced something else.
            Conflict: that upload still goes on.
            Gone: what it made was removed meanwhile.
        """
        if self._key is None:
            return None
        lease = timedelta(seconds=self._installation.settings.cleaner.upload_timeout)
        with self._installation.database.write() as session:
            return claim(session, self._key, self.id, datetime.now(UTC), lease)

    def unclaim(self) -> None:
        """Let go of the key of an upload that is not begun after all."""
        if self._key is not None:
            with self._installation.database.write() as session:
                release(session, self._key, self.id)

    def write(self, data: Buffer) -> None:
        """Take the next bytes.

        Raises:
            SizeMismatch: more came than were announced.
            TooLarge: more came than this side takes.
            QuotaExceeded: more came than the user may have here.
            Conflict: the user took the transferable back meanwhile.
            StorageError: they cannot be kept.
        """
        view = memoryview(data)
        self._check_length(self._ranges.received + len(view))
        self._note_progress()
        finish_hashing = self._hash(view)
        try:
            for stored in self._ranges.write(view):
                self._queue_range(stored)
        finally:
            finish_hashing()

    def finish(self) -> Outgoing:
        """End the upload: the transferable is durable and queued when this returns it.

        Raises:
            SizeMismatch: fewer bytes came than were announced.
            DigestMismatch: other bytes came than were announced.
            Conflict: the user took the transferable back meanwhile.
            StorageError: the last range cannot be kept.
        """
        size = self._ranges.received
        self._check_end(size)
        for stored in self._ranges.close():
            self._queue_range(stored)
        last = self._ranges.last()
        with self._installation.database.write() as session:
            self._record(session, last, whole=last.size == size)
            sha1, sha256 = self._digests.sha1, self._digests.sha256
            outgoing = complete_record(session, self._upload, size, sha1, sha256)
            self._confirm(session)
        self._ranges.forget_last()
        return outgoing

    def finish_with(self, content: bytes) -> Future[Outgoing]:
        """Take all of a small file at once, in place of `write` and `finish`.

        Nothing is waited for: it is durable and queued once the future is done.

        Raises:
            SizeMismatch: it is not as long as was announced.
            DigestMismatch: it is not what was announced.
            TooLarge: it is more than this side takes.
        """
        self._check_length(len(content))
        self._digests.update(content)
        self._check_end(len(content))
        digest = blake3(content).digest()
        return self._installation.database.write_soon(partial(self._queue, content, digest))

    def fail(self, reason: RevocationReason) -> None:
        """Give the upload up, keep nothing of it, and have the destination told."""
        self._ranges.discard()
        now = datetime.now(UTC)
        with self._installation.database.write() as session:
            if not self._recorded:
                begin_record(session, self._upload, now)
                self._recorded = True
            revoke(session, self.id, reason, now)
            if self._key is not None:
                release(session, self._key, self.id)

    def _check_length(self, received: int) -> None:
        if self._upload.size is not None and received > self._upload.size:
            raise SizeMismatch(self._upload.size, received)
        if received > self._limit:
            raise TooLarge(self._limit)
        if self.room is not None:
            self.room.cover(received)

    def _note_progress(self) -> None:
        """Say now and then that a slow upload lives: its records are all the cleaner has."""
        now = time.monotonic()
        if now - self._noted_at < self._installation.settings.cleaner.upload_timeout / 4:
            return
        self._noted_at, moment = now, datetime.now(UTC)
        row, held = OutgoingTransferable, UploadReservation
        with self._installation.database.write(durable=False) as session:
            session.execute(update(row).where(row.id == self.id).values(received_at=moment))
            session.execute(update(held).where(held.id == self.id).values(created_at=moment))

    def _check_end(self, received: int) -> None:
        if self._upload.size is not None and received != self._upload.size:
            raise SizeMismatch(self._upload.size, received)
        self._digests.verify()

    def _hash(self, data: memoryview) -> Callable[[], None]:
        """Hash the data, in two threads where it pays; call what is returned to finish it."""
        is_large = len(data) >= HASH_IN_PARALLEL_FROM
        return self._digests.update(data, self._installation.upload_workers if is_large else None)

    def _queue(self, content: bytes, digest: bytes, session: Session) -> Outgoing:
        """Queue a small file within a transaction that others share."""
        self._confirm(session)
        sha1, sha256 = self._digests.sha1, self._digests.sha256
        return queue_small_file(
            session, self._upload, content, sha1=sha1, sha256=sha256, digest=digest
        )

    def _confirm(self, session: Session) -> None:
        if self._key is not None:
            age = timedelta(seconds=self._installation.settings.upload.idempotency_age)
            confirm(session, self._key, self.id, datetime.now(UTC) + age)

    def _queue_range(self, stored: StoredRange) -> None:
        with self._installation.database.write() as session:
            self._record(session, stored, whole=stored.size == self._upload.size)

    def _record(self, session: Session, stored: StoredRange, *, whole: bool) -> None:
        now = datetime.now(UTC)
        if not self._recorded:
            begin_record(session, self._upload, now)
        record_range(session, self._upload, stored, now, whole=whole)
        self._recorded = True


def failure_reason(error: BaseException) -> RevocationReason:
    """Return what the destination is told about an upload that ended with this error."""
    if isinstance(error, SizeMismatch):
        return RevocationReason.UPLOAD_SIZE_MISMATCH
    if isinstance(error, StorageFull):
        return RevocationReason.OBJECT_STORAGE_FULL
    return RevocationReason.UNEXPECTED_EXCEPTION
