"""The two cookies of a session, as pages and scripts of the existing system know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import cookie_parser

from eurydice_core.config import ApiSettings

__all__ = ["CSRF_COOKIE", "SESSION_COOKIE", "expired_cookies", "session_cookies", "session_token"]

SESSION_COOKIE: Final = "eurydice_sessionid"
CSRF_COOKIE: Final = "eurydice_csrftoken"
MAX_TOKEN: Final = 128  # characters


def session_token(headers: Mapping[str, str]) -> str | None:
    """Return the secret that a browser's session cookie holds."""
    if SESSION_COOKIE not in (header := headers.get("cookie", "")):
        return None
    token = cookie_parser(header).get(SESSION_COOKIE, "")
    return token if 0 < len(token) <= MAX_TOKEN else None


def session_cookies(settings: ApiSettings, secure: bool, token: str, csrf: str) -> list[str]:
    """Return the `Set-Cookie` values that begin a session; scripts can read the second only."""
    flags = _flags(settings, secure, round(settings.session_age))
    return [f"{SESSION_COOKIE}={token}; HttpOnly{flags}", f"{CSRF_COOKIE}={csrf}{flags}"]


def expired_cookies(settings: ApiSettings, secure: bool) -> list[str]:
    """Return the `Set-Cookie` values that end a session in its browser."""
    flags = _flags(settings, secure, 0)
    return [f"{SESSION_COOKIE}=; HttpOnly{flags}", f"{CSRF_COOKIE}={flags}"]


def _flags(settings: ApiSettings, secure: bool, age: int) -> str:
    only_secure = "; Secure" if settings.secure_cookies or secure else ""
    return f"; Max-Age={age}; Path=/; SameSite={settings.samesite_cookies}{only_secure}"
