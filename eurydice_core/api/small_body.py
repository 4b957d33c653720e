"""Small bodies, read with a limit: JSON objects, lines of text."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import Request

from eurydice_core.api.problems import UnsupportedMediaType
from eurydice_core.api.texts import require_text, texts_in
from eurydice_core.errors import InvalidRequest

__all__ = ["media_type_of", "read_json_object", "read_text"]

LIMIT: Final = 64 * 1024  # bytes
JSON: Final = "application/json"


def media_type_of(request: Request) -> str:
    """Return what a request's body is announced as, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json_object(request: Request) -> dict[str, Any]:
    """Return the object that a request's body is.

    Raises:
        UnsupportedMediaType: the body is not announced as JSON.
        InvalidRequest: it is no JSON object, or longer than any of ours.
    """
    if media_type_of(request) != JSON:
        raise UnsupportedMediaType(f"send the body as 'Content-Type: {JSON}'")
    try:
        content = json.loads(await _read(request))
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(content, dict):
        raise InvalidRequest("the body must be a JSON object")
    require_text("".join(texts_in(content)), "the body")
    return content


async def read_text(request: Request) -> str:
    """Return the text that a request's body is.

    Raises:
        InvalidRequest: it is not UTF-8, or longer than any of ours.
    """
    try:
        return (await _read(request)).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not text in UTF-8") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise InvalidRequest(f"the body is longer than {LIMIT} bytes")
    return bytes(body)
