"""Pages to administer one side with."""

from __future__ import annotations

from eurydice_admin.app import create_app
from eurydice_admin.settings import Settings
from eurydice_core.hookspecs import WebPlugin, hookimpl

__all__ = ["Settings", "create_app"]


@hookimpl
def eurydice_web() -> WebPlugin:
    """Offer pages for staff."""
    return WebPlugin(
        name="admin",
        summary="Pages for staff: accounts, tokens, transferables, maintenance.",
        settings=Settings,
        path="/admin",
        create=lambda settings, _: create_app(settings),
    )
