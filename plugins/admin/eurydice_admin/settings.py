"""What can be set of the pages."""

from __future__ import annotations

from pydantic import Field

from eurydice_core.hookspecs import PluginSettings

__all__ = ["Settings"]


class Settings(PluginSettings):
    """The keys of `[web.admin]`."""

    page_size: int = Field(50, ge=1, le=500, description="Rows of a list on one page.")
