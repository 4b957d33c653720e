"""What the commands about accounts open, and how they show what they find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import click

from eurydice_core.cli.main import Invocation
from eurydice_core.config import Settings
from eurydice_core.db.accounts import Accounts
from eurydice_core.db.engine import Database
from eurydice_core.db.schema import require_migrated
from eurydice_core.errors import ConfigurationError
from eurydice_core.installation import open_database
from eurydice_core.model.states import Side

__all__ = ["Opened", "as_json", "moment", "opened", "yes"]

as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


@dataclass(frozen=True, slots=True)
class Opened:
    """The accounts of one side."""

    settings: Settings
    database: Database
    accounts: Accounts

    def require(self, side: Side, what: str) -> None:
        """Return if this is that side.

        Raises:
            ConfigurationError: it is the other one.
        """
        if self.settings.side is not side:
            raise ConfigurationError(
                f"this is the {self.settings.side} side, and only the {side} side {what}"
            )


@contextmanager
def opened(invocation: Invocation) -> Iterator[Opened]:
    """Open the accounts of the configured side."""
    settings = invocation.load().settings
    with open_database(settings) as database:
        require_migrated(database, settings.side)
        yield Opened(settings, database, Accounts(database))


def yes(value: bool) -> str:
    """Return a flag as a column shows it."""
    return "yes" if value else "-"


def moment(when: datetime | None, missing: str = "never") -> str:
    """Return a time as a column shows it."""
    return missing if when is None else when.isoformat(" ", "minutes")
