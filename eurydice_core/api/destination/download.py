"""Hands a file to its user: a bounded part of it in memory, no thread held by a slow client."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from fastapi import Request, Response
from loguru import logger
from starlette.types import Receive, Scope, Send

from eurydice_core.api.destination.ranges import Unsatisfiable, requested_range
from eurydice_core.api.destination.source import Source, open_source
from eurydice_core.api.metadata_headers import metadata_to_headers
from eurydice_core.api.problems import Forbidden
from eurydice_core.api.threads import Threads
from eurydice_core.errors import Conflict, Gone, RequestError, StorageError
from eurydice_core.interfaces.storage import Storage
from eurydice_core.model.states import IncomingState
from eurydice_core.model.transferable import Incoming

__all__ = [
    "content_disposition",
    "content_headers",
    "integrity_headers",
    "require_deliverable",
    "respond",
]

STALLED_SECONDS: Final = 300.0
"""A client that takes nothing for this long has gone."""
UNDELIVERABLE: Final[dict[IncomingState, RequestError]] = {
    IncomingState.ONGOING: Conflict("the file is not all here yet"),
    IncomingState.ERROR: Forbidden("the file did not arrive whole: have it sent again"),
    IncomingState.REVOKED: Gone("the origin took the file back"),
    IncomingState.EXPIRED: Gone("the file was removed: it was kept for as long as files are"),
    IncomingState.REMOVED: Gone("the file was deleted by its user"),
}
HEADER_SAFE: Final = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file, opened."""

    source: Source
    start: int
    stop: int
    is_end: bool
    """Whether the file ends with it: a file is delivered once its last part is."""


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
    storage: Storage,
    threads: Threads,
    on_delivered: Callable[[], None],
) -> Response:
    """Return the response that carries a file, or the part of it that is asked for.

    Raises:
        ObjectMissing: its data is gone.
        StorageError: its data cannot be read.
        RequestError: its state does not allow it.
    """
    size = require_deliverable(incoming)
    etag = _etag(incoming)
    try:
        wanted = requested_range(request.headers, size, etag)
    except Unsatisfiable:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    start, stop = wanted or (0, size)
    source = await threads.run(open_source, storage, incoming.key, size, start, stop)
    part = Part(source, start, stop, is_end=stop == size)
    response = _Download(part, threads, on_delivered)
    response.status_code = 206 if wanted else 200
    if wanted:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response.headers["Content-Length"] = str(stop - start)
    response.headers["ETag"] = etag
    response.headers["Accept-Ranges"] = "bytes"
    response.raw_headers.extend([*content_headers(incoming), *integrity_headers(incoming)])
    return response


def content_headers(incoming: Incoming) -> list[tuple[bytes, bytes]]:
    """Return the headers that make a browser save a file under its name."""
    name = incoming.name or str(incoming.id)
    return [
        (b"content-type", b"application/octet-stream"),
        (b"content-disposition", content_disposition(name).encode()),
    ]


def integrity_headers(incoming: Incoming) -> list[tuple[bytes, bytes]]:
    """Return the digests of a file, and what its sender said of it."""
    headers = metadata_to_headers(incoming.user_provided_meta)
    if incoming.sha1 is not None:
        headers.append((b"digest", b"SHA=" + base64.b64encode(incoming.sha1)))
    if incoming.sha256 is not None:
        digest = base64.b64encode(incoming.sha256)
        headers.append((b"repr-digest", b"sha-256=:" + digest + b":"))  # RFC 9530
    return headers


def content_disposition(name: str) -> str:
    """Return the header that names a download (RFC 6266), whatever is in the name."""
    plain = "".join(c if HEADER_SAFE.fullmatch(c) else "_" for c in name)
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    disposition = f'attachment; filename="{quoted}"'
    if plain == name:
        return disposition
    return f"{disposition}; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


def _etag(incoming: Incoming) -> str:
    return f'"{(incoming.sha256 or incoming.id.bytes).hex()}"'


class _Download(Response):
    """A response whose body is read while it is sent."""

    def __init__(self, part: Part, threads: Threads, on_delivered: Callable[[], None]) -> None:
        super().__init__()
        self._part = part
        self._threads = threads
        self._on_delivered = on_delivered
        self.raw_headers = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, until its end or until the client goes away."""
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
            elif self._part.is_end:
                self._on_delivered()
        finally:
            await self._threads.run(self._part.source.close)

    async def _send_body(self, send: Send) -> None:
        left = self._part.stop - self._part.start
        while left:
            chunk = await self._threads.run(self._part.source.read)
            left -= len(chunk)
            if not chunk or left < 0:
                raise StorageError("a stored file is not as long as it was a moment ago")
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _unless_gone(body: Awaitable[None], receive: Receive) -> bool:
    """Await a body being sent, as long as the client is there; return whether it got all."""
    sending = asyncio.ensure_future(body)
    watching = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait([sending, watching], return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
        return sending.done()
    except TimeoutError:
        return False
    finally:
        for task in (sending, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
