"""`eurydice repair`: tickets, from what is missing at the destination to sending it again."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from eurydice_core import qr
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.destination.repair import Incomplete, Shortfall, incomplete_files, shortfall
from eurydice_core.errors import InvalidRequest
from eurydice_core.installation import Installation, open_installation
from eurydice_core.model.quantities import format_size
from eurydice_core.model.states import Side
from eurydice_core.origin.repair import apply_ticket
from eurydice_core.private_files import PRIVATE
from eurydice_core.protocol.repair import MAX_TICKET

__all__ = ["repair"]

LINE: Final = 72
"""Characters of a ticket in a line, so that no terminal breaks it where it likes."""


@click.group()
def repair() -> None:
    """Ask for what a file still misses, and send it again."""


@repair.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> None:
    """List the incomplete files that can be repaired (destination)."""
    with opened(invocation, Side.DESTINATION) as installation:
        files = incomplete_files(installation)
    if as_json:
        click.echo(json.dumps([facts(file) for file in files], indent=2))
        return
    if not files:
        click.echo("no file is incomplete", err=True)
        return
    click.echo(f"{'id':36}  {'missing':>10}  {'of':>10}  {'since':16}  {'user':12}  name")
    for file in files:
        click.echo(line_about(file))


@repair.command()
@click.argument("id", type=click.UUID)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="Write the QR code there, too."
)
@click.option("--no-qr", is_flag=True, help="Show no QR code.")
@pass_invocation
def show(
    invocation: Invocation, id: uuid.UUID, as_json: bool, png: Path | None, no_qr: bool
) -> None:
    """Print a ticket for the file ID: a line to carry to the origin (destination)."""
    with opened(invocation, Side.DESTINATION) as installation:
        short = shortfall(installation, id)
    if png is not None:
        write_picture(png, short.ticket)
    if as_json:
        click.echo(json.dumps(facts(short), indent=2))
        return
    click.echo("\n".join(described(short)))
    if not no_qr:
        show_code(short.ticket)
    click.echo("carry it to the origin, and there: eurydice repair apply", err=True)


@repair.command()
@click.argument("ticket", default="-")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def apply(invocation: Invocation, ticket: str, as_json: bool) -> None:
    """Send again what TICKET asks for (origin); without it, or with -, the ticket is read.

    White space, and upper and lower case, do not matter in a ticket. The running sender does the
    rest.
    """
    with opened(invocation, Side.ORIGIN) as installation:
        done = apply_ticket(installation, read_input() if ticket == "-" else ticket)
    if as_json:
        queued = {"id": str(done.transferable_id), "ranges": done.ranges, "bytes": done.bytes}
        click.echo(json.dumps(queued, indent=2))
    elif done.ranges:
        click.echo(
            f"queued {counted(done.ranges, 'range')} ({format_size(done.bytes)})"
            f" of {done.transferable_id}"
        )
    else:
        click.echo(f"all that it asks for of {done.transferable_id} is queued already")


@contextmanager
def opened(invocation: Invocation, side: Side) -> Iterator[Installation]:
    """Open the configured side, which must be that one."""
    with open_installation(invocation.load().settings) as installation:
        installation.require(side)
        yield installation


def read_input() -> str:
    """Return the ticket on the standard input; at a terminal, up to an empty line.

    Raises:
        InvalidRequest: it is longer than any ticket.
    """
    if not sys.stdin.isatty():
        text = sys.stdin.read(2 * MAX_TICKET + 1)
    else:
        click.echo("paste the ticket, then an empty line:", err=True)
        text = "".join(iter(lambda: sys.stdin.readline(2 * MAX_TICKET).strip(), ""))
    if not text.strip():
        raise InvalidRequest("no ticket: give it as an argument or on the standard input")
    return text


def facts(about: Incomplete | Shortfall) -> dict[str, Any]:
    """Return the same as JSON has it."""
    known = dataclasses.asdict(about)
    if isinstance(about, Incomplete):
        known["incomplete_since"] = about.incomplete_since.isoformat()
    return {**known, "id": str(about.id)}


def described(short: Shortfall) -> Iterator[str]:
    """Yield what a person should read before carrying a ticket anywhere."""
    yield f"file     {printable(short.name) or '(no name)'}"
    yield f"id       {short.id}"
    yield f"size     {short.size} bytes ({format_size(short.size)})"
    missing = f"{short.bytes_missing} bytes ({format_size(short.bytes_missing)})"
    yield f"missing  {missing} in {counted(short.pieces_missing, 'piece')}"
    if short.pieces_in_ticket < short.pieces_missing:
        yield f"ticket   asks for {short.pieces_in_ticket} of them: take another one afterwards"
    yield ""
    yield from textwrap.wrap(short.ticket, LINE, break_on_hyphens=False)
    yield ""


def line_about(file: Incomplete) -> str:
    """Return a file as the list shows it."""
    missing, size = format_size(file.bytes_missing), format_size(file.size)
    since = file.incomplete_since.isoformat(" ", "minutes")[:16]
    user = printable(file.username or "-")
    return f"{file.id}  {missing:>10}  {size:>10}  {since}  {user:12}  {printable(file.name)}"


def counted(number: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str) -> str:
    """Return a text of the other side's without what would steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def write_picture(path: Path, ticket: str) -> None:
    """Write a ticket's QR code to a file.

    Raises:
        InvalidRequest: it cannot be written.
    """
    try:
        with PRIVATE.open_file(path, "wb") as file:
            file.write(qr.as_png(ticket))
    except OSError as error:
        raise InvalidRequest(f"cannot write {path}: {error.strerror}") from error


def show_code(ticket: str) -> None:
    """Print a QR code, if the terminal is wide enough; broken lines are no QR code."""
    code = qr.as_text(ticket)
    width = code.index("\n")
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < width:
        click.echo(f"the QR code needs a terminal of {width} columns, or --png FILE", err=True)
        return
    click.echo(code)
