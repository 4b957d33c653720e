"""`eurydice quarantine`: packets that could not be ingested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.user.opened import as_json
from eurydice_core.config import Settings
from eurydice_core.destination.quarantine import Quarantine, open_quarantine
from eurydice_core.destination.replay import replay as replay_packets
from eurydice_core.errors import ConfigurationError, ServiceError
from eurydice_core.installation import open_installation
from eurydice_core.model.quantities import format_size
from eurydice_core.model.states import Side

__all__ = ["quarantine"]

ids_or_all = [
    click.argument("ids", nargs=-1, metavar="[ID]..."),
    click.option("--all", "is_all", is_flag=True, help="Every packet of the quarantine."),
]


@click.group()
def quarantine() -> None:
    """Look at packets that could not be ingested, and ingest or delete them (destination).

    The receiver moves a packet here if parts of it fail for another reason than an outage,
    however often they are tried. The other parts are ingested. The services may run meanwhile.
    """


@quarantine.command("list")
@as_json
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> None:
    """List the packets in the quarantine, the oldest first, and why they are there."""
    found = opened(invocation.load().settings).list()
    if as_json:
        click.echo(json.dumps([asdict(packet) for packet in found], indent=2))
        return
    if not found:
        click.echo("the quarantine is empty", err=True)
        return
    for packet in found:
        click.echo(f"{packet.id}  {format_size(packet.size)}  {packet.quarantined_at}")
        click.echo(f"    {packet.reason}")


@quarantine.command()
@ids_or_all[0]
@ids_or_all[1]
@as_json
@pass_invocation
def replay(invocation: Invocation, ids: Sequence[str], is_all: bool, as_json: bool) -> None:
    """Ingest packets once more, and delete those that succeed.

    Exits with 1 if one of them fails again.
    """
    settings = invocation.load().settings
    packets = opened(settings)
    chosen = choose(packets, ids, is_all)
    results = []
    with open_installation(settings) as installation:
        for result in replay_packets(installation, packets, chosen):
            results.append(result)
            if not as_json:
                click.echo(f"{result.id}: {result.failure or 'ingested'}")
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    failed = sum(result.failure is not None for result in results)
    if failed:
        raise ServiceError(f"{failed} of {len(results)} packets failed and stay in the quarantine")


@quarantine.command()
@ids_or_all[0]
@ids_or_all[1]
@as_json
@pass_invocation
def delete(invocation: Invocation, ids: Sequence[str], is_all: bool, as_json: bool) -> None:
    """Delete packets: what they carry is lost, unless a repair ticket asks for it."""
    packets = opened(invocation.load().settings)
    chosen = choose(packets, ids, is_all)
    for id in chosen:
        packets.delete(id)
    click.echo(json.dumps({"deleted": chosen}) if as_json else f"{len(chosen)} packets deleted")


def opened(settings: Settings) -> Quarantine:
    """Return the quarantine of a destination.

    Raises:
        ConfigurationError: this is an origin.
    """
    if settings.side is not Side.DESTINATION:
        raise ConfigurationError("this is the origin side, and only the destination has packets")
    return open_quarantine(settings)


def choose(packets: Quarantine, ids: Sequence[str], is_all: bool) -> list[str]:
    """Return the packets that were named on the command line.

    Raises:
        UsageError: none or too many were named.
    """
    if is_all == bool(ids):
        raise click.UsageError("name packets, or give --all")
    return [packet.id for packet in packets.list()] if is_all else list(ids)
