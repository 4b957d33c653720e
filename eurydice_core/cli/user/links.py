"""`eurydice user words` and `unlink`: one person's two accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.user.opened import opened
from eurydice_core.destination.association import dissociate
from eurydice_core.model.states import Side
from eurydice_core.protocol.association import issue_words
from eurydice_core.protocol.keys import ASSOCIATION, derive_key

__all__ = ["unlink", "words"]


@click.command()
@click.argument("name")
@pass_invocation
def words(invocation: Invocation, name: str) -> None:
    """Print the words that link NAME to an account of the destination."""
    with opened(invocation) as side:
        side.require(Side.ORIGIN, "gives out words")
        account = side.accounts.get(name)
        settings = side.settings
    expires_at = datetime.now(UTC) + timedelta(seconds=settings.association.expires_after)
    key = derive_key(settings.link.secret.get_secret_value(), ASSOCIATION)
    click.echo(issue_words(account.profile, expires_at, key))
    click.echo(f"good until {expires_at.isoformat(' ', 'minutes')}", err=True)


@click.command()
@click.argument("name")
@pass_invocation
def unlink(invocation: Invocation, name: str) -> None:
    """Undo the link of NAME to an account of the origin (destination).

    Both accounts may be linked anew. The files stay, and appear to whoever is linked to
    that origin account next.
    """
    with opened(invocation) as side:
        side.require(Side.DESTINATION, "knows of links")
        dissociate(side.database, side.accounts.get(name))
    click.echo(f"{name} is linked to no origin account any more")
