"""An option that is a duration, written as in the configuration: `15min`, `7days`."""

from __future__ import annotations

from datetime import timedelta

import click

from eurydice_core.model.quantities import parse_duration

__all__ = ["read_duration"]


def read_duration(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> timedelta | None:
    """Return what was given, if it was; an option has this as its callback."""
    if value is None:
        return None
    try:
        return timedelta(seconds=parse_duration(value))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error)) from error
