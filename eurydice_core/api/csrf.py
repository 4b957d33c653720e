"""Requests that a browser was tricked into: what other sites' pages send is refused.

A session needs the token that only our own pages can read; whatever else a browser adds
by itself (passwords of HTTP Basic, what a proxy says) must come from a page of ours, as
far as the browser tells. API tokens are never added by a browser.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from blake3 import blake3

from eurydice_core.api.problems import Forbidden

__all__ = [
    "HEADER",
    "SAFE",
    "CrossSite",
    "CsrfFailed",
    "csrf_token",
    "require_own_site",
    "require_token",
]

HEADER: Final = "x-csrftoken"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
PURPOSE: Final = "Eurydice 2026 CSRF tokens"
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class CsrfFailed(Forbidden):
    """A session asks for a change without the token that goes with it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"CSRF Failed: CSRF token {what}; send the value of the cookie"
            " eurydice_csrftoken in the header X-CSRFToken"
        )


class CrossSite(Forbidden):
    """Another site's page sent this."""

    def __init__(self) -> None:
        super().__init__(
            "CSRF Failed: the request comes from another site's page, which is not one of"
            " [api] trusted_origins"
        )


def csrf_token(secret_key: str, session_token: str) -> str:
    """Return the token of a session: it follows from it, so that nobody has to keep it."""
    key = blake3(secret_key.encode(), derive_key_context=PURPOSE).digest()
    return blake3(session_token.encode("utf-8", "replace"), key=key).hexdigest()


def require_token(secret_key: str, session_token: str, headers: Mapping[str, str]) -> None:
    """Return if the session's token came with the request.

    Raises:
        CsrfFailed: it did not.
    """
    given = headers.get(HEADER, "")
    if not given:
        raise CsrfFailed("missing")
    if not secrets.compare_digest(given.encode(), csrf_token(secret_key, session_token).encode()):
        raise CsrfFailed("incorrect")


def require_own_site(headers: Mapping[str, str], host: str, trusted: Sequence[str]) -> None:
    """Return unless a browser says that another site's page sent this.

    Raises:
        CrossSite: one did, and it is not trusted.
    """
    origin, site = headers.get("origin", "").lower(), headers.get("sec-fetch-site", "")
    if any(_is_trusted(origin, pattern.lower()) for pattern in trusted):
        return
    if site:
        if site not in ("same-origin", "none"):
            raise CrossSite
    elif origin and _host(origin) != _host(f"{urlsplit(origin).scheme}://{host}".lower()):
        raise CrossSite


def _is_trusted(origin: str, pattern: str) -> bool:
    """Whether an origin is one of a pattern's, such as `https://*.example.org`."""
    scheme, _, host = pattern.rstrip("/").partition("://")
    if host.startswith("*."):
        return origin.startswith(f"{scheme}://") and origin.endswith(host[1:])
    return bool(origin) and origin == f"{scheme}://{host}"


def _host(origin: str) -> str:
    scheme, _, host = origin.partition("://")
    return host.removesuffix(DEFAULT_PORTS.get(scheme, ""))
