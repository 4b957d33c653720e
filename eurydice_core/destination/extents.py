"""Which bytes of a file are here: stretches that neither overlap nor touch, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Extent", "covered", "covers", "merged", "missing"]

Extent = tuple[int, int]
"""First byte, and the byte after the last."""


def merged(extents: Iterable[Extent]) -> list[Extent]:
    """Return the same bytes as the fewest stretches, in order."""
    result: list[Extent] = []
    for start, stop in sorted(extents):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], stop))
        elif stop > start:
            result.append((start, stop))
    return result


def covers(extents: Sequence[Extent], start: int, stop: int) -> bool:
    """Tell whether all bytes from `start` to `stop` are there; none are always there."""
    return start == stop or any(first <= start and stop <= last for first, last in extents)


def covered(extents: Iterable[Extent]) -> int:
    """Return how many bytes are there."""
    return sum(stop - start for start, stop in extents)


def missing(extents: Iterable[Extent], size: int) -> list[Extent]:
    """Return the stretches of a file of `size` bytes that are not there, in order."""
    gaps: list[Extent] = []
    here = 0
    for start, stop in extents:
        if start > here:
            gaps.append((here, start))
        here = max(here, stop)
    if here < size:
        gaps.append((here, size))
    return gaps
