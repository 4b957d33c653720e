"""HTTP for s3fs, with an end to every wait."""

from __future__ import annotations

import asyncio
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession  # type: ignore[import-untyped]
from botocore.exceptions import ReadTimeoutError  # type: ignore[import-untyped]

__all__ = ["BoundedSession"]

SLOWEST = 256 * 1024
"""Bytes a second of a request that is slow and not dead."""


class BoundedSession(AIOHTTPSession):  # type: ignore[misc]
    """Gives up on a server that takes a request and then neither reads it nor answers.

    aiohttp counts its time-out from the end of the request on, and a body that nobody
    reads, or that waits for a "100 Continue", never ends.
    """

    async def send(self, request: Any) -> Any:
        """Send a request, and have its answer's head in time."""
        try:
            async with asyncio.timeout(self._seconds(request)):
                return await super().send(request)
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error

    def _seconds(self, request: Any) -> float | None:
        connect, read = self._timeout.sock_connect, self._timeout.sock_read
        if connect is None or read is None:
            return None
        return float(connect + read + int(request.headers.get("Content-Length", 0)) / SLOWEST)
