"""`eurydice migrate`: the database, made ready for this version."""

from __future__ import annotations

import json

import click

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.db import schema
from eurydice_core.installation import open_database

__all__ = ["migrate"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def migrate(invocation: Invocation, as_json: bool) -> None:
    """Make the database ready for this version."""
    settings = invocation.load().settings
    with open_database(settings) as database:
        name = database.name
        before, after = schema.migrate(
            database,
            settings.side,
            on_wait=lambda: click.echo(f"waiting for another migration of {name}", err=True),
        )
    if as_json:
        click.echo(json.dumps({"database": name, "before": before, "after": after}))
    elif before == after:
        click.echo(f"already up to date: {name} is at {after}")
    else:
        click.echo(f"migrated {name}: {before or 'no tables'} -> {after}")
