"""Subcommands that other distributions add through entry points of group `eurydice.commands`.

The name of the entry point is the name of the command, and its object a plain click command,
imported only when the command is run.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

__all__ = ["GROUP", "load_command", "plugin_commands", "summary_of"]

GROUP: Final = "eurydice.commands"


def plugin_commands(reserved: frozenset[str]) -> dict[str, EntryPoint]:
    """Return the installed commands by name, without importing any of them.

    Args:
        reserved: names of the core's own commands, which no distribution can replace.
    """
    found = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return {point.name: point for point in found if point.name not in reserved}


def summary_of(point: EntryPoint) -> str:
    """Return the summary of the distribution that a command comes from."""
    return (point.dist.metadata["Summary"] or "") if point.dist else ""


def load_command(point: EntryPoint) -> click.Command:
    """Import a command.

    Raises:
        click.ClickException: the import failed, or the object is no click command.
    """
    origin = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
    try:
        command = point.load()
    except Exception as error:
        raise click.ClickException(
            f"the command {point.name!r} of {origin} cannot be loaded:"
            f" {type(error).__name__}: {error}; upgrade or uninstall it"
        ) from error
    if not isinstance(command, click.Command):
        raise click.ClickException(
            f"the command {point.name!r} of {origin} is a {type(command).__name__},"
            " not a click command; upgrade or uninstall it"
        )
    return command
