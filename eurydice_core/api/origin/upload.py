"""Takes an upload's body: never more than a few MiB of it in memory, no thread held by a client."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Sequence
from typing import Final

from fastapi import Request
from loguru import logger
from starlette.types import Receive

from eurydice_core.api.metadata_headers import NAME, metadata_from_headers
from eurydice_core.api.problems import TooSlow, UnsupportedMediaType, UploadInterrupted
from eurydice_core.api.threads import Threads
from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest
from eurydice_core.installation import Installation
from eurydice_core.model.states import RevocationReason
from eurydice_core.origin.submit import Submission, failure_reason

__all__ = ["begin", "receive_body"]

CONTENT_TYPE: Final = "application/octet-stream"
BATCH: Final = 2**20  # bytes; large enough that changing threads costs nothing beside them
INTEGER: Final = re.compile(r"[+-]?[0-9]+")

Batch = Sequence[bytes]


def begin(request: Request, installation: Installation, account: Account) -> Submission:
    """Return a new submission for what a request announces; nothing of its body is read.

    Raises:
        UnsupportedMediaType: the body is not announced as plain bytes.
        TooLarge: the announced length is more than this side takes.
        InvalidRequest: the headers make no sense.
    """
    _check_content_type(request)
    metadata = metadata_from_headers(request.headers.raw)
    return Submission(
        installation,
        account,
        name=metadata.get(NAME, ""),
        metadata=metadata,
        size=_announced_size(request),
    )


async def receive_body(
    request: Request, submission: Submission, threads: Threads, idle_timeout: float
) -> uuid.UUID:
    """Take a request's body, and return the id of the transferable, durable and queued.

    Whatever goes wrong, the submission is given up and its user is told.

    Raises:
        UploadInterrupted: the client went away.
        TooSlow: it sent nothing for too long.
        EurydiceError: what the submission raises.
    """
    try:
        await _write_all(_Body(request.receive, idle_timeout), submission, threads)
        return await threads.run(submission.finish)
    except BaseException as error:
        await _give_up(submission, threads, _reason(error))
        raise


async def _write_all(body: _Body, submission: Submission, threads: Threads) -> None:
    """Write each batch while the next one is being received."""
    writing: asyncio.Task[None] | None = None
    try:
        while batch := await body.batch():
            if writing is not None:
                await writing
            writing = asyncio.create_task(threads.run(_write, submission, batch))
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

    def __init__(self, receive: Receive, idle_timeout: float) -> None:
        self._receive = receive
        self._idle_timeout = idle_timeout
        self._more = True

    async def batch(self) -> Batch:
        """Return the next bytes as they came, about `BATCH` of them; none at the end."""
        batch: list[bytes] = []
        size = 0
        while self._more and size < BATCH:
            chunk = await self._chunk()
            if chunk:
                batch.append(chunk)
                size += len(chunk)
        return batch

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle_timeout):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(self._idle_timeout) from None
        if message["type"] == "http.disconnect":
            raise UploadInterrupted
        self._more = message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


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


def _check_content_type(request: Request) -> None:
    announced = request.headers.get("content-type", "")
    if not announced:
        raise InvalidRequest(f"send the header 'Content-Type: {CONTENT_TYPE}'")
    if announced.strip().lower() != CONTENT_TYPE:
        raise UnsupportedMediaType(
            f"files are sent as 'Content-Type: {CONTENT_TYPE}', not {announced[:100]!r}"
        )


def _announced_size(request: Request) -> int | None:
    """Return the body's length where one is announced that can be believed."""
    coding = request.headers.get("transfer-encoding", "")
    length = request.headers.get("content-length", "").strip()
    if coding.strip().lower() == "chunked":
        if length:
            logger.warning("an upload is chunked and has a Content-Length, which is ignored")
        return None
    if not length:
        return None
    if not INTEGER.fullmatch(length):
        raise InvalidRequest(f"Content-Length must be a number, is {length[:40]!r}")
    size = int(length[:30])
    return None if size < 0 else size
