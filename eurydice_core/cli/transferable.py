"""`eurydice transferable`: everybody's files on their way, for whoever administers a side."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.repair import printable
from eurydice_core.cli.user.opened import as_json, moment, opened
from eurydice_core.destination import oversight as received
from eurydice_core.errors import EurydiceError
from eurydice_core.installation import Installation, open_installation
from eurydice_core.interfaces.administration import (
    MAX_LIMIT,
    TransferableDetails,
    TransferableFacts,
    TransferableQuery,
)
from eurydice_core.model.quantities import format_size
from eurydice_core.model.states import IncomingState, OutgoingState, Side
from eurydice_core.origin import oversight as sent

__all__ = ["transferable"]

STATES: Final = list(dict.fromkeys([*map(str, OutgoingState), *map(str, IncomingState)]))
OVERSIGHT: Final[dict[Side, Any]] = {Side.ORIGIN: sent, Side.DESTINATION: received}
COMMAND_LINE: Final = "the command line"
TIME: Final = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])

End = Callable[[Installation, uuid.UUID, str], None]


@click.group()
def transferable() -> None:
    """Look at everybody's files on their way, and end what has to end."""


def in_utc(
    _context: click.Context, _parameter: click.Parameter, value: datetime | None
) -> datetime | None:
    """Take a time without an offset for UTC, as everything here is."""
    return None if value is None else value.replace(tzinfo=UTC)


@transferable.command("list")
@click.option("--user", "username", default="", help="Of this account only.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES, case_sensitive=False),
    help="In this state only; may be given several times.",
)
@click.option("--name", "text", default="", help="Whose name contains this, or the id itself.")
@click.option("--since", type=TIME, callback=in_utc, help="Created then or later (UTC).")
@click.option("--until", type=TIME, callback=in_utc, help="Created then or earlier (UTC).")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=50,
    show_default=True,
    help="Most of them.",
)
@click.option("--start", metavar="PLACE", help="Go on where the last list said.")
@as_json
@pass_invocation
def list_(
    invocation: Invocation,
    username: str,
    states: Sequence[str],
    text: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    start: str | None,
    as_json: bool,
) -> None:
    """List transferables, the newest first.

    Costs the same however many there are: a search that finds little looks through 50,000 of
    them and then says where to go on.
    """
    query = TransferableQuery(
        text=text,
        username=username,
        states=states,
        created_after=since,
        created_before=until,
        start=start,
        limit=limit,
    )
    with opened(invocation) as side:
        listed = OVERSIGHT[side.settings.side].list_transferables(side.database, query)
    if as_json:
        results = [facts(row) for row in listed.rows]
        click.echo(json.dumps({"results": results, "next": listed.next}, indent=2))
        return
    for line in lines(listed.rows):
        click.echo(line)
    if not listed.rows and listed.next is None:
        click.echo("no such transferables", err=True)
    if listed.next is not None:
        back_to = listed.looked_back_to
        about = f"looked back to {moment(back_to)} only; " if back_to else ""
        click.echo(f"{about}there may be more: --start {listed.next}", err=True)


@transferable.command()
@click.argument("id", type=click.UUID)
@as_json
@pass_invocation
def show(invocation: Invocation, id: uuid.UUID, as_json: bool) -> None:
    """Show the transferable ID, with its ranges (origin) or what came of it (destination)."""
    with opened(invocation) as side:
        known = OVERSIGHT[side.settings.side].show_transferable(side.database, id)
    if as_json:
        click.echo(json.dumps(details(known), indent=2))
        return
    for line in described(known):
        click.echo(line)


@transferable.command()
@click.argument("ids", nargs=-1, required=True, type=click.UUID, metavar="ID...")
@pass_invocation
def revoke(invocation: Invocation, ids: Sequence[uuid.UUID]) -> None:
    """Take transferables back as their owners could (origin).

    What was not sent stays here, and the destination is told.
    """
    end(invocation, Side.ORIGIN, ids, sent.revoke_transferable, "revoked")


@transferable.command()
@click.argument("ids", nargs=-1, required=True, type=click.UUID, metavar="ID...")
@pass_invocation
def expire(invocation: Invocation, ids: Sequence[uuid.UUID]) -> None:
    """End transferables now, as time would, and free their storage (destination).

    What is whole expires; what is incomplete is waited for, and can be repaired, no longer.
    """
    end(invocation, Side.DESTINATION, ids, received.expire_transferable, "expired")


def end(invocation: Invocation, side: Side, ids: Sequence[uuid.UUID], deed: End, done: str) -> None:
    """End each of them; one that cannot be ended keeps the others from nothing."""
    failed = False
    with open_installation(invocation.load().settings) as installation:
        installation.require(side)
        for id in ids:
            try:
                deed(installation, id, COMMAND_LINE)
            except EurydiceError as error:
                failed = True
                click.echo(f"eurydice: error: {error}", err=True)
            else:
                click.echo(f"{done} {id}")
    if failed:
        raise click.exceptions.Exit(1)


def lines(rows: Sequence[TransferableFacts]) -> Iterator[str]:
    """Yield a table, for people."""
    if not rows:
        return
    yield f"{'id':36}  {'state':8}  {'done':>4}  {'size':>10}  {'created':16}  {'user':12}  name"
    for row in rows:
        size = "?" if row.size is None else format_size(row.size)
        progress = "" if row.progress is None else f"{row.progress}%"
        yield (
            f"{row.id}  {row.state:8}  {progress:>4}  {size:>10}  {moment(row.created_at)[:16]}"
            f"  {printable(row.username or '-'):12}  {printable(row.name)}"
        )


def described(known: TransferableDetails) -> Iterator[str]:
    """Yield what there is to know, for people."""
    about = known.transferable
    size = "unknown" if about.size is None else f"{about.size} bytes ({format_size(about.size)})"
    shown = {
        "name": printable(about.name) or "(no name)",
        "id": str(about.id),
        "user": printable(about.username or "-"),
        "state": about.state if known.reason is None else f"{about.state}: {known.reason}",
        "size": size,
        "done": f"{known.bytes_done} bytes"
        + ("" if about.progress is None else f" ({about.progress} %)"),
        "created": moment(about.created_at),
        **{name.removesuffix("_at"): moment(at) for name, at in known.times.items()},
        "finished": moment(about.finished_at),
        "sha1": known.sha1 or "-",
        "sha256": known.sha256 or "-",
        **{printable(name): printable(value) for name, value in known.metadata.items()},
    }
    width = max(map(len, shown))
    yield from (f"{title:{width}}  {text}" for title, text in shown.items())
    for piece in known.pieces:
        at = "" if piece.at is None else f", sent {moment(piece.at)}"
        yield f"  {piece.start} to {piece.stop}  {piece.state}{at}".rstrip()
    if known.more_pieces:
        yield "  and more"


def facts(known: Any) -> dict[str, Any]:
    """Return facts as JSON has them."""
    return {name: plain(value) for name, value in dataclasses.asdict(known).items()}


def details(known: TransferableDetails) -> dict[str, Any]:
    """Return all that is known as JSON has it: what lists have, and more beside it."""
    more = facts(known)
    del more["transferable"]
    return {
        **facts(known.transferable),
        **more,
        "times": {name: plain(at) for name, at in known.times.items()},
        "pieces": [facts(piece) for piece in known.pieces],
    }


def plain(value: Any) -> Any:
    """Return what JSON knows no other way to write."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value
