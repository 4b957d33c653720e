"""Options that are a size, a duration or a share, written as people write them."""

from __future__ import annotations

import click

from eurydice_core.model.quantities import parse_duration, parse_size

__all__ = ["duration_of", "share_of", "size_of"]


def size_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """Read a size."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def duration_of(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """Read a duration."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def share_of(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """Read a percentage; return the share that it is."""
    if value is None:
        return None
    try:
        percent = float(value.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise click.BadParameter(f"{value!r} is no percentage: write 0 to 100, such as 3%")
    return percent / 100
