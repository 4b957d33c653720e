"""Limits on every request body: its coding, its length and how long it may take.

Bodies of uploads are streamed by their route, which has limits of its own. Every other
body is received here, before the application sees the request, so that no route and no
web plugin can wait for a client without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eurydice_core.api.problems import (
    BodyTooLarge,
    ExpectationFailed,
    TooSlow,
    TransferCodingUnknown,
    UnsupportedContentCoding,
    problem,
)
from eurydice_core.errors import InvalidRequest, RequestError

__all__ = ["MAX_BODY", "BodyMiddleware", "check_body_headers"]

MAX_BODY: Final = 128 * 1024
"""Bytes; JSON objects, forms and repair tickets have at most 64 KiB, and say so themselves."""


class ClientLeft(Exception):
    """The client closed the connection before the end of its body."""


class BodyMiddleware:
    """Check the headers of each body, and receive all bodies but those of uploads."""

    def __init__(
        self, app: ASGIApp, timeout: float, streamed: Collection[tuple[str, str]] = ()
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            timeout: seconds from the request's headers to the end of its body.
            streamed: method and path of routes that receive their bodies themselves.
        """
        self._app = app
        self._timeout = timeout
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request with its whole body, or answer it with the reason why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            check_body_headers(headers)
            if has_body(headers) and not self._is_streamed(scope):
                receive = _replay(await self._received(headers, receive), receive)
        except ClientLeft:
            return
        except RequestError as error:
            response = problem(error)
            # The rest of the body may still come: this connection carries no other request.
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_streamed(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return (scope["method"], path) in self._streamed

    async def _received(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if int_of(length) > MAX_BODY:
            raise BodyTooLarge(MAX_BODY)
        try:
            async with asyncio.timeout(self._timeout):
                return await _read(receive)
        except TimeoutError:
            raise TooSlow(
                f"the body did not end within {self._timeout:g} seconds; [api] body_timeout"
                " on this side is the limit"
            ) from None


def check_body_headers(headers: Headers) -> None:
    """Return if the body is sent as it is, whole, and with no condition that is unknown here.

    Raises:
        InvalidRequest: only a part of a representation is sent (RFC 9110, 14.5).
        UnsupportedContentCoding: the body is compressed (RFC 9110, 8.4 and 15.5.16).
        TransferCodingUnknown: a transfer coding other than `chunked` (RFC 9112, 6.1).
        ExpectationFailed: `Expect` is not `100-continue` (RFC 9110, 10.1.1).
    """
    if "content-range" in headers:
        raise InvalidRequest("Content-Range: a part of a file cannot be sent, send all of it")
    if _tokens(headers, "content-encoding") - {"identity"}:
        raise UnsupportedContentCoding
    codings = ",".join(headers.getlist("transfer-encoding"))
    if codings and codings.strip().lower() != "chunked":
        raise TransferCodingUnknown(codings)
    if _tokens(headers, "expect") - {"100-continue"}:
        raise ExpectationFailed(headers["expect"])


def has_body(headers: Headers) -> bool:
    """Return whether a message has a body (RFC 9112, 6.3)."""
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"


def int_of(text: str) -> int:
    """Return a length, 0 if it is no number: the server counts bytes itself."""
    return int(text[:30]) if text.isascii() and text.isdecimal() else 0


def _tokens(headers: Headers, name: str) -> set[str]:
    values = ",".join(headers.getlist(name)).split(",")
    return {value.strip().lower() for value in values if value.strip()}


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise BodyTooLarge(MAX_BODY)
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the body once, and then what the server says."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
