"""Challenges of a 401, RFC 9110 section 11.6.1, for clients that a challenge would harm.

A browser that meets a `Basic` challenge asks for a password in a window of its own, also for a
request that a script of a page sent: the page then waits until its user closes the window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.types import Scope

from eurydice_core.api.cookies import SESSION_COOKIE
from eurydice_core.api.peer import joined_headers

__all__ = ["is_from_page", "without_prompts"]

Header = tuple[bytes, bytes]

CHALLENGE: Final = b"www-authenticate"
NAVIGATION: Final = "navigate"


def is_from_page(scope: Scope) -> bool:
    """Return whether a page that a browser shows sent this request, and not its user or a program.

    By `Sec-Fetch-Mode` (Fetch Metadata), which browsers send over HTTPS; by headers that
    scripts add; by a session's cookie together with a wish for JSON instead of a page.
    """
    headers = joined_headers(scope)
    mode = headers.get("sec-fetch-mode", "")
    if mode:
        return mode != NAVIGATION
    if "x-requested-with" in headers or "x-csrftoken" in headers:
        return True
    accepted = headers.get("accept", "")
    wants_json = "application/json" in accepted and "text/html" not in accepted
    return wants_json and SESSION_COOKIE in headers.get("cookie", "")


def without_prompts(headers: Iterable[Header]) -> list[Header]:
    """Return the headers of a 401 with `Bearer`, which no browser asks its user for, alone."""
    kept = [(name, value) for name, value in headers if name.lower() != CHALLENGE]
    return [*kept, (CHALLENGE, b"Bearer")]
