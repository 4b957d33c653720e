"""Answers of the API while its database or storage cannot be opened yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from eurydice_core.api.monitoring.access import PASSED_ON
from eurydice_core.api.networks import Network, is_within

__all__ = ["answer_waiting"]

RETRY_AFTER: Final = "10"  # seconds


async def answer_waiting(
    scope: Scope, receive: Receive, send: Send, reason: str, watchers: Sequence[Network]
) -> None:
    """Answer `/healthz` with 200, and everything else with 503; bodies are not read.

    The reason is for `watchers` that connect directly: nothing here knows trusted proxies.
    """
    if scope["type"] != "http":
        return
    headers = {"Cache-Control": "no-store"}
    path = scope["path"]
    if path == "/healthz":
        response = JSONResponse({"status": "ok"}, headers=headers)
    elif path == "/readyz":
        check = {"status": "failing"}
        if _is_watcher(scope, watchers):
            check["reason"] = reason
        content: dict[str, Any] = {"status": "failing", "checks": {"start": check}}
        response = JSONResponse(content, 503, headers=headers)
    else:
        content = {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "the service is starting: its database or storage does not answer yet",
        }
        headers |= {"Retry-After": RETRY_AFTER, "Connection": "close"}
        response = JSONResponse(content, 503, headers, "application/problem+json")
    await response(scope, receive, send)


def _is_watcher(scope: Scope, watchers: Sequence[Network]) -> bool:
    client: tuple[str, int] | None = scope.get("client")
    headers = Headers(scope=scope)
    is_direct = not any(name in headers for name in PASSED_ON)
    return client is not None and is_direct and is_within(client[0], watchers)
