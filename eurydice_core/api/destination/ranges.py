"""Which part of a file a download asks for (RFC 9110, chapter 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["Unsatisfiable", "requested_range"]

ONE_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The file does not reach as far as the range that is asked for."""


def requested_range(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int] | None:
    """Return the bytes that are asked for, from and up to; None for all of them.

    A range that is malformed, or more than one, is answered with the whole file, as the
    standard allows. So is one for another version of it (If-Range).

    Raises:
        Unsatisfiable: there are no such bytes.
    """
    match = ONE_RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise Unsatisfiable
    return start, stop
