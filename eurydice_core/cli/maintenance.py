"""`eurydice maintenance`: the origin's sender holds back, or goes on."""

from __future__ import annotations

import json

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.user.opened import as_json, opened
from eurydice_core.model.states import Side
from eurydice_core.origin.maintenance import in_maintenance, set_maintenance

__all__ = ["maintenance"]


@click.command()
@click.argument("change", default="status", type=click.Choice(["on", "off", "status"]))
@as_json
@pass_invocation
def maintenance(invocation: Invocation, change: str, as_json: bool) -> None:
    """Hold the sender back while the link or the other side is worked on.

    For the origin. While it is on, uploads are taken and wait, and the link carries heartbeats
    only; users see it in the API's status. Without on or off, says which it is.
    """
    with opened(invocation) as side:
        side.require(Side.ORIGIN, "has a sender to hold back")
        if change != "status":
            set_maintenance(side.database, change == "on", "the command line")
        is_on = in_maintenance(side.database)
    if as_json:
        click.echo(json.dumps({"maintenance": is_on}))
        return
    click.echo(
        "maintenance is on: nothing but heartbeats is sent"
        if is_on
        else "maintenance is off: the sender works"
    )
