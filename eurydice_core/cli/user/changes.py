"""`eurydice user change`, `deactivate`, `activate` and `remove`."""

from __future__ import annotations

from typing import Any

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.user.accounts import priority_type
from eurydice_core.cli.user.opened import opened
from eurydice_core.model.quantities import parse_size

__all__ = ["activate", "change", "deactivate", "remove"]

SPELLED = {"unlimited": -1, "default": None}
LARGEST = {"quota_size": 2**62, "quota_files": 2**31 - 1}  # what the database's columns hold


def read_quota(
    _context: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, int | None]:
    """Return what a quota option changes, if it was given: None stands for the default."""
    if value is None:
        return {}
    if value in SPELLED:
        return {str(parameter.name): SPELLED[value]}
    try:
        size = parse_size(value) if parameter.name == "quota_size" else int(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}, unlimited or default") from error
    if not 0 <= size <= LARGEST[str(parameter.name)]:
        raise click.BadParameter(f"{value} is out of range")
    return {str(parameter.name): size}


@click.command()
@click.argument("name")
@click.option("--priority", type=priority_type, help="More is a larger share of the link.")
@click.option("--staff/--no-staff", default=None, help="Administrators see everybody's figures.")
@click.option("--metrics/--no-metrics", default=None, help="Whether they may read the metrics.")
@click.option(
    "--quota-size",
    callback=read_quota,
    help="Most bytes kept at the origin, such as 10GB; unlimited; or default.",
)
@click.option(
    "--quota-files",
    callback=read_quota,
    help="Most uploads in 24 hours, such as 500; unlimited; or default.",
)
@pass_invocation
def change(
    invocation: Invocation,
    name: str,
    priority: int | None,
    staff: bool | None,
    metrics: bool | None,
    quota_size: dict[str, int | None],
    quota_files: dict[str, int | None],
) -> None:
    """Give the account NAME another priority, other rights or other quotas."""
    flags = {"priority": priority, "is_staff": staff, "sees_metrics": metrics}
    values: dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    values.update(**quota_size, **quota_files)
    if not values:
        raise click.UsageError("say what is to change; --help lists what can")
    with opened(invocation) as side:
        side.accounts.change(name, **values)
    click.echo(f"changed {name}")


@click.command()
@click.argument("name")
@pass_invocation
def deactivate(invocation: Invocation, name: str) -> None:
    """Let NAME in no more, however they come; what they sent stays."""
    with opened(invocation) as side:
        side.accounts.set_active(name, False)
    click.echo(f"{name} is let in no more")


@click.command()
@click.argument("name")
@pass_invocation
def activate(invocation: Invocation, name: str) -> None:
    """Let NAME in again."""
    with opened(invocation) as side:
        side.accounts.set_active(name, True)
    click.echo(f"{name} is let in again")


@click.command()
@click.argument("name")
@pass_invocation
def remove(invocation: Invocation, name: str) -> None:
    """Forget the account NAME, with its tokens; the origin keeps those that still have files.

    At the destination, files that came for NAME stay until they expire, and appear to
    whoever is linked to the same origin account.
    """
    with opened(invocation) as side:
        side.accounts.remove(name)
    click.echo(f"removed {name}")
