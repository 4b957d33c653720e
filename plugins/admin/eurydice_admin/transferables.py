"""Pages about everybody's transferables: to find them, to look at one, to end one."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from eurydice_admin.entrance import Page
from eurydice_admin.forms import read_time
from eurydice_admin.views import address
from eurydice_core.interfaces.administration import (
    ExpireTransferable,
    RevokeTransferable,
    TransferableQuery,
)
from eurydice_core.model.states import IncomingState, OutgoingState

__all__ = ["confirm_end", "end", "show", "show_all"]

FILTERS = ("text", "username", "state", "created_after", "created_before")


async def show_all(page: Page) -> Response:
    """List what is looked for."""
    asked = page.request.query_params
    given = {name: asked.get(name, "").strip() for name in FILTERS}
    query = TransferableQuery(
        text=given["text"],
        username=given["username"],
        states=[given["state"]] if given["state"] else [],
        created_after=read_time(given["created_after"]),
        created_before=read_time(given["created_before"], end_of_day=True),
        start=asked.get("start"),
        limit=page.settings.page_size,
    )
    listed = await page.administration.transferables(query)
    return page.render(
        "transferables.html",
        listed=listed,
        given=given,
        states=list(OutgoingState if page.is_origin else IncomingState),
        is_first=not query.start,
        older=listed.next and address(page.request, "/transferables", **given, start=listed.next),
        newest=address(page.request, "/transferables", **given),
    )


async def show(page: Page) -> Response:
    """Show one."""
    return page.render("transferable.html", **await _known(page))


async def confirm_end(page: Page) -> Response:
    """Ask whether it is meant."""
    return page.render("end.html", **await _known(page))


async def end(page: Page) -> Response:
    """Revoke it, or let it expire."""
    id = _id(page)
    action = RevokeTransferable(id=id) if page.is_origin else ExpireTransferable(id=id)
    await page.administration.perform(action)
    return page.go_to(f"/transferable/{id}")


async def _known(page: Page) -> dict[str, Any]:
    known = await page.administration.transferable(_id(page))
    return {"known": known, "file": known.transferable}


def _id(page: Page) -> uuid.UUID:
    id: uuid.UUID = page.request.path_params["id"]
    return id
