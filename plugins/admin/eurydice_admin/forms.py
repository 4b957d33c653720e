"""Reads what a form sent, and refuses what no form of ours did."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from eurydice_core.errors import InvalidRequest, RequestError
from eurydice_core.model.quantities import parse_size

__all__ = [
    "FormForged",
    "read_count",
    "read_flag",
    "read_form",
    "read_quota",
    "read_time",
    "require_token",
]

MAX_FORM: Final = 64 * 1024  # bytes
MAX_FIELDS: Final = 50
MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
UNLIMITED: Final = -1


class FormForged(RequestError):
    """A form came without the token that our own pages put into it."""

    def __init__(self) -> None:
        super().__init__(
            "This form is out of date or did not come from these pages: go back, reload and try"
            " again"
        )


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of several of one name, the last.

    Raises:
        InvalidRequest: it is no form, or a huge one.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise InvalidRequest(f"The request is not a form: send {MEDIA_TYPE}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise InvalidRequest("The form is too large: shorten its fields")
    try:
        text = body.decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest("The form cannot be read: go back, reload and try again") from error
    if any("\0" in text for field in fields for text in field):
        raise InvalidRequest("A field of the form contains a zero byte: remove it")
    return dict(fields)


def require_token(form: Mapping[str, str], expected: str | None) -> None:
    """Return if a form is ours; without a session there is nothing that a forger could use.

    Raises:
        FormForged: it has not the token.
    """
    if expected is None:
        return
    given = form.get("csrf_token", "")
    if not secrets.compare_digest(given.encode(), expected.encode()):
        raise FormForged


def read_flag(form: Mapping[str, str], name: str) -> bool:
    """Return whether a box is ticked."""
    return form.get(name) == "on"


def read_count(text: str, what: str) -> int:
    """Return a whole number.

    Raises:
        InvalidRequest: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidRequest(f"{what}: enter a whole number")
    return int(text)


def read_quota(text: str, what: str) -> int | None:
    """Return a limit: None for everybody's, negative for no limit.

    Raises:
        InvalidRequest: it is none.
    """
    text = text.strip()
    if text in ("", "default"):
        return None
    if text == "unlimited":
        return UNLIMITED
    try:
        return parse_size(text)
    except ValueError as error:
        raise InvalidRequest(
            f"{what}: {error}; enter unlimited for no limit, or leave it empty for the default"
        ) from error


def read_time(text: str, *, end_of_day: bool = False) -> datetime | None:
    """Return a date, or a date and time, in UTC.

    Raises:
        InvalidRequest: it is none.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        is_date = len(text) <= len("2026-01-01")
        return at + timedelta(days=1, microseconds=-1) if end_of_day and is_date else at
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("Created: enter dates as YYYY-MM-DD, such as 2026-01-31") from error
