"""`eurydice user`: the accounts of this side. Passwords are read, never given as arguments."""

from __future__ import annotations

import click

from eurydice_core.cli.user.accounts import add, list_, password, show
from eurydice_core.cli.user.changes import activate, change, deactivate, remove
from eurydice_core.cli.user.links import unlink, words
from eurydice_core.cli.user.tokens import token

__all__ = ["user"]


@click.group()
def user() -> None:
    """Manage the accounts of this side."""


for command in (
    add,
    list_,
    show,
    change,
    password,
    token,
    deactivate,
    activate,
    remove,
    words,
    unlink,
):
    user.add_command(command)
