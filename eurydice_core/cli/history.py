"""`eurydice history`: what the origin tells the destination about how transfers ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import click

from eurydice_core.cli.duration import read_duration
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.installation import open_installation
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import Side
from eurydice_core.origin.history import History

__all__ = ["history"]

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing ended before, however long ago somebody asks for."""


@click.group()
def history() -> None:
    """Tell the destination again how transfers ended."""


@history.command()
@click.option(
    "--duration",
    callback=read_duration,
    default="7days",
    show_default=True,
    help="How far back, such as 12h.",
)
@pass_invocation
def send(invocation: Invocation, duration: timedelta) -> None:
    """Have every ending of the last days told again, once (origin).

    It is queued here; the running sender sends it. Ask for no more than the destination keeps its
    records ([cleaner] trim_after there), else it takes old files for lost ones.
    """
    settings = invocation.load().settings
    lasts = timedelta(seconds=settings.sender.history_duration)
    limit = settings.sender.history_entries_per_packet
    with open_installation(settings) as installation:
        installation.require(Side.ORIGIN)
        now = utc_now()
        told = History(installation.database, duration=lasts, limit=limit)
        count = told.tell_again(now - min(duration, now - BEGINNING), now)
    endings = "1 ending" if count == 1 else f"{count} endings"
    click.echo(f"{endings} queued for the running sender, up to {limit} in a packet")
