"""Counts every request, and the files that came and went with them."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eurydice_core.api.monitoring.measures import (
    DOWNLOAD_BYTES,
    DOWNLOADS,
    REQUEST_SECONDS,
    REQUESTS,
    UPLOAD_BYTES,
    UPLOADS,
)
from eurydice_core.api.monitoring.tallies import Tallies

__all__ = ["MeasureMiddleware"]

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UPLOAD: Final = "create-transferable"
DOWNLOAD: Final = "download-transferable"
SENT: Final = {200: "complete", 206: "part", 307: "redirected"}


class MeasureMiddleware:
    """Goes around all others, so that it sees what really was answered."""

    def __init__(self, app: ASGIApp, tallies: Tallies) -> None:
        self._app = app
        self._tallies = tallies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request and its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        began = time.perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        finally:
            self._note(scope, exchange, time.perf_counter() - began)

    def _note(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        state = scope.get("state", {})
        route: Any = state.get("route")
        exchange.failed = state.get("response_broken", False)
        # Labels are few whatever is asked for: a path itself could be anything.
        path = getattr(route, "path", None) or "none"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._tallies.count(REQUESTS, method, path, str(exchange.status or "none"))
        self._tallies.observe(REQUEST_SECONDS, seconds, method, path)
        operation = getattr(route, "operation_id", None)
        if operation == UPLOAD and method == "POST":
            self._tallies.count(UPLOADS, exchange.upload)
            self._tallies.count(UPLOAD_BYTES, amount=exchange.received)
        elif operation == DOWNLOAD and method == "GET":
            self._tallies.count(DOWNLOADS, exchange.download)
            if exchange.status in SENT:
                self._tallies.count(DOWNLOAD_BYTES, amount=exchange.sent)


class _Exchange:
    """One request and its answer, and how much of both there was."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._length = 0
        self._complete = False
        self.failed = False
        """Whether the response ended early because of this side, not of the client."""
        self.status: int | None = None
        self.received = 0
        self.sent = 0

    @property
    def upload(self) -> str:
        if self.status is None or self.status >= 500:
            return "failed"
        return "accepted" if self.status < 300 else "refused"

    @property
    def download(self) -> str:
        if self.failed or self.status is None or self.status >= 500:
            return "failed"
        if self.status not in SENT:
            return "refused"
        return SENT[self.status] if self._complete else "broken"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            length = dict(message["headers"]).get(b"content-length", b"0")
            self._length = int(length) if length.isdigit() else 0
        await self._send(message)
        if message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        elif message["type"] == "http.response.pathsend":  # the server sends the file itself
            self.sent += self._length
            self._complete = True
