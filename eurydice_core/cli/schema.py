"""`eurydice schema`: the API of either side, described to machines."""

from __future__ import annotations

import json

import click

from eurydice_core.model.states import Side

__all__ = ["schema"]


@click.command()
@click.argument("side", type=click.Choice([side.value for side in Side]))
def schema(side: str) -> None:
    """Print the description of a side's API, as OpenAPI 3.1 in JSON.

    It is the one that the API gives itself at /api/v1/schema; neither a configuration nor
    a database is needed for it.
    """
    from eurydice_core.api.app import schema_of

    click.echo(json.dumps(schema_of(Side(side)), indent=2, ensure_ascii=False))
