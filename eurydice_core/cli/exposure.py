"""Warnings about existing files that other users of the machine may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eurydice_core.cli.config import chosen_plugins
from eurydice_core.config import Loaded, Settings
from eurydice_core.config.schema import SECRETS
from eurydice_core.db.engine import sqlite_path
from eurydice_core.hookspecs import PluginSettings
from eurydice_core.plugins import Plugins
from eurydice_core.private_files import exposed, group_access

__all__ = ["exposures"]

BESIDE = ("", "-wal", "-shm", "-turn", "-migration")
"""Suffixes of the files that belong to a SQLite database."""


def exposures(loaded: Loaded, plugins: Plugins) -> Iterator[str]:
    """Yield one line for each file or directory that is open to other users.

    Raises:
        ConfigurationError: a setting names a group that cannot be used.
    """
    settings = loaded.settings
    for path in dict.fromkeys(secret_files(loaded)):
        yield from filter(None, [exposed(path, group_may_read=True)])
    for path in (settings.state_dir, settings.state_dir / "spool", *database_files(settings)):
        yield from filter(None, [exposed(path)])
    if settings.log.file is not None:
        access = group_access(settings.log.group, "[log] group")
        yield from filter(None, [exposed(settings.log.file, access)])
    for plugin in chosen_plugins(settings):
        options = plugins.settings(plugin.kind, plugin.name, plugin.options, loaded.origins)
        if isinstance(options, PluginSettings):
            for path, access in options.private_files():
                yield from filter(None, [exposed(path, access)])


def secret_files(loaded: Loaded) -> Iterator[Path]:
    """Yield the files that secrets were read from."""
    if loaded.file is not None:
        yield loaded.file
    for path in SECRETS:
        origin, _, place = loaded.origins.get(".".join(path), "").partition(" ")
        if origin == "file":
            yield Path(place)


def database_files(settings: Settings) -> Iterator[Path]:
    """Yield the files of a SQLite database."""
    path = sqlite_path(settings.database.url.get_secret_value())
    if path is not None:
        yield from (Path(f"{path}{end}") for end in BESIDE)
