"""Which plugins are installed, and the one that the configuration names.

    plugins = discover()
    storage = plugins.create_storage("storage_fs", {"root": "/srv"}, context)

Plugins are chosen by name, never by the order in which a machine happens to find
them. One that is broken says so and stops nobody, unless it is the chosen one.
"""

from __future__ import annotations

from eurydice_core.plugins.discovery import discover
from eurydice_core.plugins.kinds import InstalledPlugin, Kind
from eurydice_core.plugins.selection import Plugins

__all__ = ["InstalledPlugin", "Kind", "Plugins", "discover"]
