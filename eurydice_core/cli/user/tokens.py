"""`eurydice user token`: what lets programs in."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import click

from eurydice_core.cli.duration import read_duration
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.user.opened import as_json, moment, opened
from eurydice_core.db.accounts import Token

__all__ = ["token"]


@click.group()
def token() -> None:
    """Manage the API tokens of a user."""


@token.command()
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", callback=read_duration, help="How long it is good for, such as 30days.")
@pass_invocation
def add(invocation: Invocation, name: str, label: str, expires: timedelta | None) -> None:
    """Make an API token for NAME, and print it."""
    with opened(invocation) as side:
        made = side.accounts.issue_token(name, label=label, lifetime=expires)
    click.echo(made)
    click.echo("it is shown only now; send it as 'Authorization: Token ...'", err=True)


@token.command("list")
@click.argument("name")
@as_json
@pass_invocation
def list_(invocation: Invocation, name: str, as_json: bool) -> None:
    """List the tokens of NAME: all that is known of them, which is not the tokens."""
    with opened(invocation) as side:
        known = side.accounts.tokens(name)
    if as_json:
        click.echo(json.dumps([facts(each) for each in known], indent=2))
        return
    if not known:
        click.echo(f"{name} has no tokens", err=True)
        return
    click.echo(f"{'id':>6}  {'made':22}  {'ends':22}  {'last used':22}  label")
    for each in known:
        ends = moment(each.expires_at)
        click.echo(
            f"{each.id:6}  {moment(each.created_at):22}  {ends:22}"
            f"  {moment(each.last_used_at):22}  {each.label}"
        )


@token.command()
@click.argument("name")
@click.argument("id", type=int)
@pass_invocation
def revoke(invocation: Invocation, name: str, id: int) -> None:
    """End the token ID of NAME, at once; 'token list' tells the ids."""
    with opened(invocation) as side:
        side.accounts.revoke_token(name, id)
    click.echo(f"token {id} of {name} lets nobody in any more")


def facts(known: Token) -> dict[str, Any]:
    """Return what may be known of a token."""

    def written(name: str) -> str | None:
        moment = getattr(known, name)
        return None if moment is None else moment.isoformat()

    times = {name: written(name) for name in ("created_at", "expires_at", "last_used_at")}
    return {"id": known.id, "label": known.label, **times}
