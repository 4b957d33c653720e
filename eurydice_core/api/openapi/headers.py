"""The headers of answers, and where they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = ["HEADERS", "REQUEST_HEADERS", "headers_of"]

Part = dict[str, Any]


def _text(description: str, example: str, **more: Any) -> Part:
    return {"description": description, "schema": {"type": "string"}, "example": example, **more}


HEADERS: Final[dict[str, Part]] = {
    "X-Request-Id": _text(
        "Names this request, in the log as well.", "3f2a5c0e8b1d4f6a9c7e2d5b8a1f4c3e", required=True
    ),
    "Authenticated-User": _text("Who you are.", "alice"),
    "WWW-Authenticate": _text("A way to say who you are; there is one header for each.", "Token"),
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "ETag": _text("Names this very content, for `If-Range` and `If-None-Match`.", '"9f86d081..."'),
    "Last-Modified": _text("When the file was whole.", "Mon, 23 Nov 2026 12:00:00 GMT"),
    "Accept-Ranges": _text("Parts of it can be asked for.", "bytes"),
    "Content-Range": _text("Which part this is, or how long it is.", "bytes 0-1023/73400320"),
    "Content-Length": {
        "description": "Bytes that follow.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 73400320,
    },
    "Content-Disposition": _text(
        "The file's name (RFC 6266).", 'attachment; filename="report.pdf"'
    ),
    "Digest": _text("SHA-1 of the file.", "SHA=qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
    "Repr-Digest": _text(
        "SHA-256 of the file (RFC 9530).",
        "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:",
    ),
    "Metadata-Name": _text(
        "The file's name as its sender gave it; all their other `Metadata-*` headers come as well.",
        "report.pdf",
    ),
    "Location": _text("Where to go on.", "https://storage.example/files/..."),
    "Set-Cookie": _text("`eurydice_sessionid` and `eurydice_csrftoken`.", "eurydice_sessionid=..."),
}
DIGEST: Final = "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:"
DATE: Final = "Mon, 23 Nov 2026 12:00:00 GMT"
REQUEST_HEADERS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "create-transferable": {
        "Content-Digest": (
            "Digests that the body must have, SHA-256 or SHA-512 (RFC 9530).",
            DIGEST,
        ),
        "Repr-Digest": ("The same, by its other name.", DIGEST),
        "Idempotency-Key": (
            "Makes it safe to try again: one key, one upload.",
            '"7d1f0c2e-5b1a-4c3d-9e8f-0a1b2c3d4e5f"',
        ),
    },
    "download-transferable": {
        "Range": ("Which bytes, or several ranges of them (RFC 9110).", "bytes=0-1023"),
        "If-Range": ("Only if it is still this version; else all of it.", '"9f86d081..."'),
        "If-Match": ("Only this version; else 412.", '"9f86d081..."'),
        "If-None-Match": ("Not this version again: 304.", '"9f86d081..."'),
        "If-Modified-Since": ("Not if it is no newer: 304.", DATE),
        "If-Unmodified-Since": ("Only if it is no newer; else 412.", DATE),
    },
}
"""By operation: what each means, and an example."""
FILE: Final = (
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Content-Length",
    "Content-Disposition",
    "Digest",
    "Repr-Digest",
    "Metadata-Name",
)
OF_OPERATION: Final[dict[tuple[str, int], tuple[str, ...]]] = {
    ("download-transferable", 200): FILE,
    ("download-transferable", 206): (*FILE, "Content-Range"),
    ("download-transferable", 304): ("ETag", "Last-Modified"),
    ("download-transferable", 307): ("Location", "Digest", "Repr-Digest", "Metadata-Name"),
    ("download-transferable", 416): ("Content-Range",),
    ("login", 204): ("Set-Cookie",),
    ("login", 302): ("Set-Cookie", "Location"),
    ("logout", 204): ("Set-Cookie",),
}
OF_STATUS: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def headers_of(operation_id: str, status: int, *, knows_user: bool) -> Iterator[str]:
    """Yield the names of the headers that an answer may have."""
    yield "X-Request-Id"
    if knows_user and status != 401:
        yield "Authenticated-User"
    if operation_id != "readyz":  # its 503 is no outage of its own
        yield from OF_STATUS.get(status, ())
    yield from OF_OPERATION.get((operation_id, status), ())
