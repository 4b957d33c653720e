"""`eurydice user add`, `list`, `show` and `password`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.user.opened import Opened, as_json, moment, opened, yes
from eurydice_core.db.accounts import Account
from eurydice_core.errors import InvalidRequest
from eurydice_core.model.quantities import format_size
from eurydice_core.model.states import Side
from eurydice_core.origin.quota import Quota, quota_of, usage

__all__ = ["add", "list_", "password", "priority_type", "show"]

from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the standard input."
)
priority_type = click.IntRange(-1000, 1000)


@click.command()
@click.argument("name")
@from_stdin
@click.option("--no-password", is_flag=True, help="Only a token or a proxy lets this user in.")
@click.option(
    "--priority", type=priority_type, default=0, help="More is a larger share of the link."
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
    with opened(invocation) as side:
        given = None if no_password else read_password(password_stdin)
        side.accounts.add(name, given, priority=priority, is_staff=staff, sees_metrics=metrics)
        click.echo(f"added {name} on the {side.settings.side} side")


@click.command("list")
@as_json
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> None:
    """List the accounts."""
    with opened(invocation) as side:
        known = side.accounts.list()
    if as_json:
        click.echo(json.dumps([facts(account) for account in known], indent=2))
        return
    if not known:
        click.echo("no accounts; make one with 'eurydice user add NAME'", err=True)
        return
    width = max(len("name"), *(len(account.username) for account in known))
    click.echo(f"{'name':{width}}  active  priority  staff  metrics  last seen")
    for account in known:
        active, staff = yes(account.is_active), yes(account.is_staff)
        click.echo(
            f"{account.username:{width}}  {active:6}  {account.priority:8}  {staff:5}"
            f"  {yes(account.sees_metrics):7}  {moment(account.last_access)}"
        )


@click.command()
@click.argument("name")
@as_json
@pass_invocation
def show(invocation: Invocation, name: str, as_json: bool) -> None:
    """Show what is known of NAME, and at the origin what their quota is."""
    with opened(invocation) as side:
        account = side.accounts.get(name)
        tokens = len(side.accounts.tokens(name))
        quota = quota_facts(side, account)
    if as_json:
        known = {**facts(account), "created_at": account.created_at.isoformat()}
        click.echo(json.dumps({**known, "tokens": tokens, **quota}, indent=2))
        return
    lines = {
        "name": account.username,
        "active": yes(account.is_active),
        "staff": yes(account.is_staff),
        "metrics": yes(account.sees_metrics),
        "priority": str(account.priority),
        "tokens": str(tokens),
        "made": moment(account.created_at),
        "last seen": moment(account.last_access),
        **quota_lines(quota),
    }
    for title, text in lines.items():
        click.echo(f"{title:10} {text}")


@click.command()
@click.argument("name")
@from_stdin
@pass_invocation
def password(invocation: Invocation, name: str, password_stdin: bool) -> None:
    """Set the password of NAME; browsers that are signed in have to sign in again."""
    with opened(invocation) as side:
        side.accounts.get(name)
        side.accounts.set_password(name, read_password(password_stdin))
    click.echo(f"the password of {name} is set")


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
        "active": account.is_active,
        "priority": account.priority,
        "staff": account.is_staff,
        "metrics": account.sees_metrics,
        "last_access": account.last_access.isoformat() if account.last_access else None,
    }


def quota_facts(side: Opened, account: Account) -> dict[str, Any]:
    """Return a user's limits and what is taken of them; there are none at the destination."""
    if side.settings.side is not Side.ORIGIN:
        return {}
    quota: Quota = quota_of(account, side.settings)
    with side.database.read() as session:
        used = usage(session, account.id, datetime.now(UTC))
    return {
        "quota_size": quota.size,
        "size_used": used.size,
        "quota_files": quota.files,
        "files_used": used.files,
    }


def quota_lines(quota: dict[str, Any]) -> dict[str, str]:
    """Return the same for people."""
    if not quota:
        return {}
    size, files = quota["quota_size"], quota["quota_files"]
    return {
        "kept": f"{format_size(quota['size_used'])}"
        + (f" of {format_size(size)}" if size is not None else ", no quota"),
        "files": f"{quota['files_used']} in 24 hours"
        + (f" of {files}" if files is not None else ", no quota"),
    }
