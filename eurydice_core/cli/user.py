"""`eurydice user`: the accounts of this side. Passwords are read, never given as arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from eurydice_core.cli.duration import read_duration
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.config import Settings
from eurydice_core.db.accounts import Account, Accounts
from eurydice_core.db.schema import require_migrated
from eurydice_core.errors import ConfigurationError, InvalidRequest
from eurydice_core.installation import open_database
from eurydice_core.model.states import Side
from eurydice_core.protocol.association import issue_words
from eurydice_core.protocol.keys import ASSOCIATION, derive_key

__all__ = ["user"]


@click.group()
def user() -> None:
    """Manage the accounts of this side."""


from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the standard input."
)


@user.command()
@click.argument("name")
@from_stdin
@click.option("--no-password", is_flag=True, help="Only a token or a proxy lets this user in.")
@click.option(
    "--priority",
    type=click.IntRange(-1000, 1000),
    default=0,
    help="More is a larger share of the link.",
)
@click.option("--staff", is_flag=True, help="Administrators see everybody's figures.")
@click.option("--metrics", is_flag=True, help="This user may read the metrics.")
@pass_invocation
def add(
    invocation: Invocation,
    name: str,
    password_stdin: bool,
    no_password: bool,
    priority: int,
    staff: bool,
    metrics: bool,
) -> None:
    """Make an account called NAME; its password is asked for."""
    if no_password and password_stdin:
        raise click.UsageError("--no-password and --password-stdin exclude each other")
    with accounts_of(invocation) as (accounts, settings):
        password = None if no_password else read_password(password_stdin)
        accounts.add(name, password, priority=priority, is_staff=staff, sees_metrics=metrics)
        click.echo(f"added {name} on the {settings.side} side")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> None:
    """List the accounts."""
    with accounts_of(invocation) as (accounts, _):
        known = accounts.list()
    if as_json:
        click.echo(json.dumps([facts(account) for account in known], indent=2))
        return
    if not known:
        click.echo("no accounts; make one with 'eurydice user add NAME'", err=True)
        return
    width = max(len("name"), *(len(account.username) for account in known))
    click.echo(f"{'name':{width}}  priority  staff  metrics  last seen")
    for account in known:
        staff, metrics = yes(account.is_staff), yes(account.sees_metrics)
        seen = account.last_access.isoformat(" ", "minutes") if account.last_access else "never"
        click.echo(
            f"{account.username:{width}}  {account.priority:8}  {staff:5}  {metrics:7}  {seen}"
        )


@user.command()
@click.argument("name")
@from_stdin
@pass_invocation
def password(invocation: Invocation, name: str, password_stdin: bool) -> None:
    """Set the password of NAME."""
    with accounts_of(invocation) as (accounts, _):
        accounts.get(name)
        accounts.set_password(name, read_password(password_stdin))
    click.echo(f"the password of {name} is set")


@user.command()
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", callback=read_duration, help="How long it is good for, such as 30days.")
@pass_invocation
def token(invocation: Invocation, name: str, label: str, expires: timedelta | None) -> None:
    """Make an API token for NAME, and print it."""
    with accounts_of(invocation) as (accounts, _):
        made = accounts.issue_token(name, label=label, lifetime=expires)
    click.echo(made)
    click.echo("it is shown only now; send it as 'Authorization: Token ...'", err=True)


@user.command()
@click.argument("name")
@pass_invocation
def words(invocation: Invocation, name: str) -> None:
    """Print the words that link NAME to an account of the destination."""
    with accounts_of(invocation) as (accounts, settings):
        if settings.side is not Side.ORIGIN:
            raise ConfigurationError(
                "this is the destination side, and only the origin side gives out words"
            )
        account = accounts.get(name)
    expires_at = datetime.now(UTC) + timedelta(seconds=settings.association.expires_after)
    key = derive_key(settings.link.secret.get_secret_value(), ASSOCIATION)
    click.echo(issue_words(account.profile, expires_at, key))
    click.echo(f"good until {expires_at.isoformat(' ', 'minutes')}", err=True)


@contextmanager
def accounts_of(invocation: Invocation) -> Iterator[tuple[Accounts, Settings]]:
    """Open the accounts of the configured side."""
    settings = invocation.load().settings
    with open_database(settings) as database:
        require_migrated(database, settings.side)
        yield Accounts(database), settings


def read_password(from_stdin: bool) -> str:
    """Return a password, asked for at the terminal unless it comes by the standard input.

    Raises:
        InvalidRequest: nobody is there to be asked.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InvalidRequest(
            "no terminal to ask for the password: give --password-stdin or --no-password"
        )
    return click.prompt("Password", type=str, hide_input=True, confirmation_prompt=True, err=True)


def facts(account: Account) -> dict[str, Any]:
    """Return what others may know of an account."""
    return {
        "username": account.username,
        "priority": account.priority,
        "staff": account.is_staff,
        "metrics": account.sees_metrics,
        "last_access": account.last_access.isoformat() if account.last_access else None,
    }


def yes(value: bool) -> str:
    """Return a flag as a column shows it."""
    return "yes" if value else "-"
