"""Reads the filters of a list from its query parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from eurydice_core.api.problems import FieldInvalid
from eurydice_core.errors import InvalidRequest

__all__ = ["read_digest", "read_states", "read_time"]

State = TypeVar("State", bound=StrEnum)
# An offset whose `+` was not URL-encoded arrives with a space.
LOST_PLUS = re.compile(r" (\d\d:?\d\d)$")


def read_time(text: str | None, field: str) -> datetime | None:
    """Return a point in time; one without an offset is in UTC.

    Raises:
        FieldInvalid: it is none.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(LOST_PLUS.sub(r"+\1", text))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FieldInvalid(field, "write a date and time as in ISO 8601") from None


def read_states(values: Iterable[str], states: type[State]) -> list[State]:
    """Return states by name.

    Raises:
        FieldInvalid: one of them is none.
    """
    known = {state.value: state for state in states}
    chosen = [value for value in values if value]
    for value in chosen:
        if value not in known:
            raise FieldInvalid("state", f"{value[:20]!r} is none of {', '.join(known)}")
    return [known[value] for value in chosen]


def read_digest(text: str | None) -> bytes | None:
    """Return the bytes of a SHA-1 in hexadecimal.

    Raises:
        InvalidRequest: it is not hexadecimal.
    """
    if not text:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidRequest("field sha1 malformed.") from None
