"""`eurydice maintenance`: the origin's sender holds back, or goes on."""

from __future__ import annotations

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.db.facts import MAINTENANCE, get_fact, set_fact
from eurydice_core.installation import open_installation
from eurydice_core.model.states import Side

__all__ = ["maintenance"]


@click.command()
@click.argument("change", required=False, type=click.Choice(["on", "off"]))
@pass_invocation
def maintenance(invocation: Invocation, change: str | None) -> None:
    """Hold the sender back while the link or the other side is worked on.

    For the origin. While it is on, uploads are taken and wait, and the link carries heartbeats
    only; users see it in the API's status. Without on or off, says which it is.
    """
    with open_installation(invocation.load().settings) as installation:
        installation.require(Side.ORIGIN)
        if change is not None:
            with installation.database.write() as session:
                set_fact(session, MAINTENANCE, change == "on")
        with installation.database.read() as session:
            is_on = bool(get_fact(session, MAINTENANCE))
    click.echo(
        "maintenance is on: nothing but heartbeats is sent"
        if is_on
        else "maintenance is off: the sender works"
    )
