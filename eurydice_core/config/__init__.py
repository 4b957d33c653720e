"""What an installation is told: one file, the environment, and nothing else.

`load_settings` is called once, at the entry point; everything else is handed the
frozen `Settings`, or the one table of them that concerns it.
"""

from __future__ import annotations

from eurydice_core.config.choices import PluginChoice, PluginList
from eurydice_core.config.loader import Loaded, find_settings, load_settings
from eurydice_core.config.settings import Settings
from eurydice_core.config.tables import (
    LARGEST_INLINE,
    ApiSettings,
    AssociationSettings,
    CleanerSettings,
    DatabaseSettings,
    LinkSettings,
    LogSettings,
    ReceiverSettings,
    SenderSettings,
    UploadSettings,
)

__all__ = [
    "LARGEST_INLINE",
    "ApiSettings",
    "AssociationSettings",
    "CleanerSettings",
    "DatabaseSettings",
    "LinkSettings",
    "Loaded",
    "LogSettings",
    "PluginChoice",
    "PluginList",
    "ReceiverSettings",
    "SenderSettings",
    "Settings",
    "UploadSettings",
    "find_settings",
    "load_settings",
]
