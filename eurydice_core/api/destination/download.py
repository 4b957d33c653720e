"""Hands a file to its user: a bounded part of it in memory, no thread held by a slow client."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response
from loguru import logger
from starlette.types import Receive, Scope, Send

from eurydice_core.api.destination.conditions import Validators
from eurydice_core.api.destination.file_headers import (
    CONTENT_TYPE,
    content_headers,
    integrity_headers,
)
from eurydice_core.api.destination.ranges import Range, Unsatisfiable, requested_ranges
from eurydice_core.api.destination.source import Source, open_source
from eurydice_core.api.problems import (
    Forbidden,
    PreconditionFailed,
    RangeNotSatisfiable,
    ResponseBroken,
)
from eurydice_core.api.threads import Threads
from eurydice_core.errors import Conflict, Gone, RequestError, StorageError
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import Storage
from eurydice_core.model.states import IncomingState
from eurydice_core.model.transferable import Incoming

__all__ = ["require_deliverable", "respond"]

STALLED_SECONDS: Final = 300.0
"""A client that takes nothing for this long has gone."""


class ClientStalled(Exception):
    """The client took nothing for `STALLED_SECONDS`."""


UNDELIVERABLE: Final[dict[IncomingState, RequestError]] = {
    IncomingState.ONGOING: Conflict("the file is not all here yet"),
    IncomingState.ERROR: Forbidden("the file did not arrive whole: have it sent again"),
    IncomingState.REVOKED: Gone("the origin took the file back"),
    IncomingState.EXPIRED: Gone("the file was removed: it was kept for as long as files are"),
    IncomingState.REMOVED: Gone("the file was deleted by its user"),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the storage."""

    plugin: str
    """The storage's plugin, named in the log."""
    storage: Storage
    key: str
    size: int

    def open(self, part: Range) -> Source:
        """Open some of it; blocking."""
        return open_source(self.storage, self.key, self.size, *part)


@dataclass(frozen=True, slots=True)
class Body:
    """What a response carries: parts of a file, and what stands around them."""

    parts: Sequence[Range]
    before: Sequence[bytes]
    """What precedes each part."""
    after: bytes = b""

    @property
    def length(self) -> int:
        """In bytes."""
        around = sum(map(len, self.before)) + len(self.after)
        return around + sum(stop - start for start, stop in self.parts)


def require_deliverable(incoming: Incoming) -> int:
    """Return the size of a file if it can be fetched.

    Raises:
        Conflict: it cannot be fetched yet.
        Forbidden: it failed.
        Gone: it is no longer there.
    """
    if incoming.state in UNDELIVERABLE:
        refusal = UNDELIVERABLE[incoming.state]
        raise type(refusal)(*refusal.args)
    if incoming.size is None:  # pragma: no cover (a SUCCESS has a size)
        raise Conflict("the file is not all here yet")
    return incoming.size


async def respond(
    request: Request,
    incoming: Incoming,
    installation: Installation,
    threads: Threads,
    on_delivered: Callable[[], None],
) -> Response:
    """Return the response that carries a file, or the parts of it that are asked for.

    Raises:
        ObjectMissing: its data is gone.
        StorageError: its data cannot be read.
        RequestError: its state does not allow it, or the request's own conditions.
    """
    size = require_deliverable(incoming)
    validators = Validators(_etag(incoming), incoming.finished_at)
    status = validators.status(request.headers)
    if status == 304:
        return Response(status_code=304, headers=validators.headers)
    if status == 412:
        raise PreconditionFailed
    try:
        wanted = _wanted(request, validators, size)
    except Unsatisfiable:
        raise RangeNotSatisfiable(size) from None
    plugin = installation.settings.storage.plugin
    stored = Stored(plugin, installation.storage, incoming.key, size)
    boundary = secrets.token_hex(16)
    body = _body(wanted, size, boundary)
    first = await threads.run(stored.open, body.parts[0])
    response = _Download(stored, body, first, threads, on_delivered)
    response.raw_headers = [*content_headers(incoming), *integrity_headers(incoming)]
    if wanted is not None:
        response.status_code = 206
        if len(wanted) > 1:
            multipart = f"multipart/byteranges; boundary={boundary}"
            response.headers["Content-Type"] = multipart
        else:
            response.headers["Content-Range"] = _content_range(wanted[0], size)
    response.headers["Content-Length"] = str(body.length)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers.update(validators.headers)
    return response


def _wanted(request: Request, validators: Validators, size: int) -> Sequence[Range] | None:
    header = request.headers.get("range")
    if header is None or request.method != "GET" or not validators.allow_range(request.headers):
        return None
    return requested_ranges(header, size)


def _body(wanted: Sequence[Range] | None, size: int, boundary: str) -> Body:
    if wanted is None:
        return Body([(0, size)], [b""])
    if len(wanted) == 1:
        return Body(wanted, [b""])
    before = [
        f"\r\n--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Range: {_content_range(part, size)}\r\n\r\n".encode()
        for part in wanted
    ]
    return Body(wanted, before, f"\r\n--{boundary}--\r\n".encode())


def _content_range(part: Range, size: int) -> str:
    return f"bytes {part[0]}-{part[1] - 1}/{size}"


def _etag(incoming: Incoming) -> str:
    return f'"{(incoming.sha256 or incoming.id.bytes).hex()}"'


class _Download(Response):
    """A response whose body is read while it is sent."""

    def __init__(
        self,
        stored: Stored,
        body: Body,
        first: Source,
        threads: Threads,
        on_delivered: Callable[[], None],
    ) -> None:
        super().__init__()
        self._stored = stored
        self._body = body
        self._source = first
        """Of the part that is being sent."""
        self._threads = threads
        self._on_delivered = on_delivered
        self.raw_headers = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, until its end or until the client goes away.

        Raises:
            ResponseBroken: the storage failed on the way.
        """
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            if not await _unless_gone(self._send_body(send), receive):
                logger.info("the client went away before the end of a download")
            elif any(stop == self._stored.size for _, stop in self._body.parts):
                self._on_delivered()
        except ClientStalled:
            logger.info("the client took nothing of a download for {:g} s", STALLED_SECONDS)
        except StorageError as error:
            logger.error(
                "{}: the download of {} is broken off: {}",
                self._stored.plugin,
                self._stored.key,
                error,
            )
            raise ResponseBroken from error
        finally:
            await self._threads.run(self._source.close)

    async def _send_body(self, send: Send) -> None:
        for number, part in enumerate(self._body.parts):
            if number:
                await self._threads.run(self._source.close)
                self._source = await self._threads.run(self._stored.open, part)
            if self._body.before[number]:
                await _send_chunk(send, self._body.before[number])
            await self._send_part(send, part[1] - part[0])
        await send({"type": "http.response.body", "body": self._body.after, "more_body": False})

    async def _send_part(self, send: Send, left: int) -> None:
        """Send one part; each chunk is read while the one before is being sent."""
        chunk = await self._threads.run(self._source.read) if left else b""
        while left:
            left -= len(chunk)
            if not chunk or left < 0:
                raise StorageError("a stored file is not as long as it was a moment ago")
            if not left:
                await _send_chunk(send, chunk)
                return
            reading = asyncio.ensure_future(self._threads.run(self._source.read))
            try:
                await _send_chunk(send, chunk)
            finally:
                await asyncio.wait([reading])  # nobody else may touch the source before
                reading.exception()
            chunk = reading.result()


async def _send_chunk(send: Send, chunk: bytes) -> None:
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except TimeoutError:
        raise ClientStalled from None


async def _unless_gone(body: Awaitable[None], receive: Receive) -> bool:
    """Await a body being sent while the client stays connected; return whether all was sent."""
    sending = asyncio.ensure_future(body)
    watching = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait([sending, watching], return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
        return sending.done()
    finally:
        for task in (sending, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
