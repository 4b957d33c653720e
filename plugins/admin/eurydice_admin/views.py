"""Turns facts into pages: everything is escaped, and nothing is fetched from elsewhere."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from loguru import logger
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from eurydice_core.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidRequest,
    NotFound,
    RequestError,
    StorageError,
    TooManyRequests,
)
from eurydice_core.model.quantities import format_size

__all__ = ["STYLE", "Views", "address", "render", "show_error"]

STYLE: Final = files("eurydice_admin").joinpath("style.css").read_bytes()
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, browsers hide from us who sends a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATUS: Final[dict[type[Exception], int]] = {
    NotFound: 404,
    Conflict: 409,
    InvalidRequest: 400,
    TooManyRequests: 429,
    RequestError: 403,
    DatabaseUnavailable: 503,
    StorageError: 503,
}
TITLES: Final = {
    400: "Invalid request",
    403: "Refused",
    409: "Not possible now",
    429: "Too many attempts",
    500: "Server error",
    503: "Temporarily unavailable",
}
INTERNAL: Final = (
    "The server cannot answer this request now. Try again; if it fails again, see the server's log."
)


class Views:
    """The templates."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("eurydice_admin"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            moment=moment, printable=printable, segment=segment, size=size, words=words
        )

    def render(self, name: str, facts: dict[str, Any]) -> str:
        """Return a page."""
        return self._templates.get_template(name).render(facts)


def render(request: Request, name: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """Return the response that shows a page."""
    views: Views = request.app.state.views
    page = getattr(request.state, "page", None)
    shown = {"root": request.scope.get("root_path", ""), "page": page, **facts}
    return HTMLResponse(views.render(name, shown), status, HEADERS)


def address(request: Request, path: str, **query: object) -> str:
    """Return where a page is, without a host: proxies may call it something else."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.scope.get('root_path', '')}{path}" + (f"?{urlencode(given)}" if given else "")


async def show_error(request: Request, error: Exception) -> HTMLResponse:
    """Say what cannot be."""
    status, text, headers = 500, INTERNAL, {}
    if isinstance(error, HTTPException):
        status, headers = error.status_code, dict(error.headers or {})
        text = (
            "No such page: check the address, or start from the overview."
            if status == HTTPStatus.NOT_FOUND
            else error.detail
        )
    else:
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
        if isinstance(error, RequestError):
            text = printable(str(error))
        else:
            logger.error("{}: {}", type(error).__name__, error)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    response = render(
        request, "message.html", status, title=title_of(status), text=sentence(text), secret=None
    )
    response.headers.update(headers)
    return response


def title_of(status: int) -> str:
    """Return the heading of an error's page."""
    return TITLES.get(status, HTTPStatus(status).phrase.capitalize())


def sentence(text: str) -> str:
    """Return an error's message as a sentence: a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def moment(at: datetime | None, missing: str = "never") -> str:
    """Return a time for people and programs; all are in UTC."""
    if at is None:
        return missing
    text = at.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), text)


def printable(text: str) -> str:
    """Return a text of somebody else's without what would turn or hide what stands around it."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def segment(text: object) -> str:
    """Return a text as one part of an address."""
    return quote(str(text), safe="")


def size(number: int | None) -> str:
    """Return a number of bytes for people."""
    return "unknown" if number is None else format_size(number)


def words(name: str) -> str:
    """Return a name of the program's as words."""
    return name.removesuffix("_at").replace("_", " ")
