"""Which parts of a file a download asks for (RFC 9110, chapter 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

__all__ = ["Range", "Unsatisfiable", "requested_ranges"]

Range = tuple[int, int]
"""From the first byte up to, and without, the second."""

BYTES: Final = re.compile(r"bytes\s*=(.*)", re.IGNORECASE)
SPEC: Final = re.compile(r"\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")
MOST: Final = 100  # ranges; whoever wants more gets everything
GAP: Final = 256  # bytes; what lies between two parts and costs less than beginning a part


class Unsatisfiable(Exception):
    """The file does not reach as far as any range that is asked for."""


def requested_ranges(header: str, size: int) -> Sequence[Range] | None:
    """Return the parts of a file that a `Range` header asks for; None for all of it.

    A header that is malformed, or of too many ranges, is not heeded, as the standard has
    it. Ranges that overlap or nearly touch become one, so that no byte is sent twice:
    otherwise a short request could have a file sent a hundred times.

    Raises:
        Unsatisfiable: there are no such bytes.
    """
    match = BYTES.fullmatch(header.strip())
    if match is None:
        return None
    specs = [spec for spec in match[1].split(",") if spec.strip()]
    if not specs or len(specs) > MOST:
        return None
    wanted: list[Range] = []
    for spec in specs:
        found = _resolved(spec, size)
        if found is None:
            return None
        if found[0] < found[1]:
            wanted.append(found)
    if not wanted:
        raise Unsatisfiable
    return _coalesced(wanted)


def _resolved(spec: str, size: int) -> Range | None:
    """Return what a range means in a file of this size, nothing as an empty one; None if bad."""
    match = SPEC.fullmatch(spec)
    if match is None or not (match[1] or match[2]):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    if not last:
        return int(first), max(size, int(first))
    if int(last) < int(first):
        return None
    return int(first), max(min(size, int(last) + 1), int(first))


def _coalesced(wanted: Sequence[Range]) -> Sequence[Range]:
    """Join what is close together; what is not stays in the order that was asked for."""
    in_order = sorted(wanted)
    if all(one[1] + GAP < other[0] for one, other in pairwise(in_order)):
        return wanted
    joined = [in_order[0]]
    for start, stop in in_order[1:]:
        if start <= joined[-1][1] + GAP:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
