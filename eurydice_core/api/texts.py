"""Text that requests bring: what no database can store, and no name has, is refused early."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from eurydice_core.errors import InvalidRequest

__all__ = ["require_text", "require_text_in_url", "texts_in"]

# PostgreSQL stores no zero byte, and neither database a lone surrogate, which is not UTF-8.
UNSTORABLE: Final = re.compile("[\\x00\ud800-\udfff]")


def require_text(text: str, place: str) -> None:
    """Return if a text can be stored.

    Raises:
        InvalidRequest: it has a zero byte or a lone surrogate.
    """
    if UNSTORABLE.search(text):
        raise InvalidRequest(f"{place} has a zero byte, or half of a surrogate pair")


def require_text_in_url(scope: Scope) -> None:
    """Return if the path and the query of a request can be text.

    Raises:
        InvalidRequest: one of them has a zero byte.
    """
    if "\0" in scope["path"] or b"\0" in unquote_to_bytes(scope.get("query_string", b"")):
        raise InvalidRequest("the URL has a zero byte")


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
