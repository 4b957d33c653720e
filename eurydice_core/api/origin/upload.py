"""Takes an upload's body: never more than a few MiB of it in memory, no thread held by a client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from fastapi import Request
from loguru import logger
from starlette.types import Receive

from eurydice_core.api.metadata_headers import metadata_from_headers, name_in
from eurydice_core.api.problems import TooSlow, UnsupportedMediaType, UploadInterrupted
from eurydice_core.api.threads import Threads
from eurydice_core.api.upload_headers import announced_digests, announced_size, idempotency_key
from eurydice_core.config import UploadSettings
from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest
from eurydice_core.installation import Installation
from eurydice_core.model.states import RevocationReason
from eurydice_core.model.transferable import Outgoing
from eurydice_core.origin.submit import Submission, failure_reason

__all__ = ["begin", "receive_body"]

CONTENT_TYPE: Final = "application/octet-stream"
BATCH: Final = 2**20  # bytes; large enough that changing threads costs nothing beside them

BATCH_SECONDS: Final = 5.0
AT_ONCE: Final = 64 * 1024
"""Bytes; less is hashed sooner than it is handed to a thread."""
OVERHEAD: Final = 100  # bytes of memory that a chunk takes besides its own

Batch = Sequence[bytes]


def begin(request: Request, installation: Installation, account: Account) -> Submission:
    """Return a new submission for what a request announces; nothing of its body is read.

    Raises:
        UnsupportedMediaType: the body is not announced as plain bytes.
        TooLarge: the announced length is more than this side takes.
        InvalidRequest: the headers make no sense.
    """
    headers = request.headers
    _check_content_type(headers.get("content-type", ""))
    metadata = metadata_from_headers(headers.raw)
    size, digests = announced_size(headers), announced_digests(headers)
    announced = {**metadata, **digests, "size": size}
    return Submission(
        installation,
        account,
        name=name_in(metadata),
        metadata=metadata,
        size=size,
        digests=digests,
        key=idempotency_key(headers, account, announced),
    )


async def receive_body(
    request: Request, submission: Submission, threads: Threads, settings: UploadSettings
) -> Outgoing:
    """Take a request's body, and return the transferable, durable and queued.

    Whatever goes wrong, the submission is given up and its user is told.

    Raises:
        UploadInterrupted: the client went away.
        TooSlow: it sent nothing, or next to nothing, for too long.
        EurydiceError: what the submission raises.
    """
    body = _Body(request.receive, settings)
    try:
        first = await body.batch(hold=settings.inline_size)
        if body.is_over and sum(map(len, first)) <= settings.inline_size:
            return await _finish_with(b"".join(first), submission, threads)
        await _write_all(first, body, submission, threads)
        return await threads.run(submission.finish)
    except BaseException as error:
        await _give_up(submission, threads, _reason(error))
        raise


async def _finish_with(content: bytes, submission: Submission, threads: Threads) -> Outgoing:
    if submission.room is None and len(content) <= AT_ONCE:
        queued = submission.finish_with(content)
    else:  # asking the quota may take a while, and so does hashing
        queued = await threads.run(submission.finish_with, content)
    return await asyncio.shield(asyncio.wrap_future(queued))


async def _write_all(batch: Batch, body: _Body, submission: Submission, threads: Threads) -> None:
    """Write each batch while the next one is being received."""
    writing: asyncio.Task[None] | None = None
    try:
        while batch:
            if writing is not None:
                await writing
            writing = asyncio.create_task(threads.run(_write, submission, batch))
            batch = await body.batch()
    finally:
        if writing is not None:
            # Also where the body broke off: nothing else may touch the submission before.
            await asyncio.wait([writing])
    if writing is not None:
        await writing


def _write(submission: Submission, batch: Batch) -> None:
    # Joined, since hashing and writing a few large pieces costs less than many small ones.
    submission.write(batch[0] if len(batch) == 1 else b"".join(batch))


class _Body:
    """A request's body, some of it at a time."""

    def __init__(self, receive: Receive, settings: UploadSettings) -> None:
        self._receive = receive
        self._idle_timeout = settings.idle_timeout
        self._pace = _Pace(settings.min_rate, settings.min_rate_window)
        self.is_over = False

    async def batch(self, hold: int = 0) -> Batch:
        """Return the next bytes as they came, about `BATCH` of them; none at the end.

        Of a slow client it is what came within a few seconds, so that a crowd of them takes
        little memory; but for the first `hold` bytes, which are waited for.
        """
        batch: list[bytes] = []
        size, began = 0, time.monotonic()
        while not self.is_over and size + len(batch) * OVERHEAD < BATCH:
            chunk = await self._chunk()
            if chunk:
                batch.append(chunk)
                size += len(chunk)
            if size > hold and time.monotonic() - began > BATCH_SECONDS:
                break
        return batch

    async def _chunk(self) -> bytes:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._idle_timeout):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(f"nothing came for {self._idle_timeout:g} seconds") from None
        if message["type"] == "http.disconnect":
            raise UploadInterrupted
        self.is_over = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        if not self.is_over:
            self._pace.check(len(chunk), time.monotonic() - began)
        return chunk


class _Pace:
    """How fast a client is; only while we wait for it."""

    def __init__(self, least: int, window: float) -> None:
        self._least = least
        self._window = window
        self._seconds = 0.0
        self._size = 0

    def check(self, size: int, seconds: float) -> None:
        """Count what came, and how long it was waited for.

        Raises:
            TooSlow: less came within a window than should have.
        """
        self._size += size
        self._seconds += seconds
        if self._seconds < self._window:
            return
        if self._size < self._least * self._seconds:
            raise TooSlow(
                f"{self._size} bytes came within {self._seconds:.0f} seconds;"
                f" {self._least} a second is the least"
            )
        self._size, self._seconds = 0, 0.0


async def _give_up(submission: Submission, threads: Threads, reason: RevocationReason) -> None:
    try:
        await threads.run(submission.fail, reason)
    except Exception as error:
        logger.warning(
            "upload {}: cannot be given up now, the cleaner will: {}", submission.id, error
        )


def _reason(error: BaseException) -> RevocationReason:
    if isinstance(error, (UploadInterrupted, TooSlow, asyncio.CancelledError)):
        return RevocationReason.UPLOAD_INTERRUPTION
    return failure_reason(error)


def _check_content_type(announced: str) -> None:
    if not announced:
        raise InvalidRequest(f"send the header 'Content-Type: {CONTENT_TYPE}'")
    # Parameters of a media type that has none mean nothing (RFC 2046, 4.5.1).
    if announced.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise UnsupportedMediaType(
            f"files are sent as 'Content-Type: {CONTENT_TYPE}', not {announced[:100]!r}"
        )
