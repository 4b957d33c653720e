"""The first page: how this side does, and maintenance."""

from __future__ import annotations

from starlette.responses import Response

from eurydice_admin.entrance import Page
from eurydice_core.interfaces.administration import SetMaintenance

__all__ = ["set_maintenance", "show"]


async def show(page: Page) -> Response:
    """Show how this side does."""
    return page.render("overview.html", status=200, side=await page.administration.status())


async def set_maintenance(page: Page) -> Response:
    """Hold the sender back, or let it go on."""
    await page.administration.perform(SetMaintenance(on=page.form.get("to") == "on"))
    return page.go_to("/")
