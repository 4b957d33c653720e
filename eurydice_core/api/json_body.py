"""Small JSON bodies, read with a limit."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import Request

from eurydice_core.api.problems import UnsupportedMediaType
from eurydice_core.errors import InvalidRequest

__all__ = ["read_json_object"]

LIMIT: Final = 64 * 1024  # bytes


async def read_json_object(request: Request) -> dict[str, Any]:
    """Return the object that a request's body is.

    Raises:
        UnsupportedMediaType: the body is not announced as JSON.
        InvalidRequest: it is no JSON object, or longer than any of ours.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("send the body as 'Content-Type: application/json'")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise InvalidRequest(f"the body is longer than {LIMIT} bytes")
    try:
        content = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(content, dict):
        raise InvalidRequest("the body must be a JSON object")
    return content
