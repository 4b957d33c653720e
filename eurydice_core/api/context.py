"""What the routes of both sides work with, and how they get at it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from eurydice_core.api.authentication import Authentication
from eurydice_core.api.door import ApiDoor
from eurydice_core.api.monitoring.monitor import Monitor
from eurydice_core.api.paging import PageTokens
from eurydice_core.api.threads import Threads
from eurydice_core.db.accounts import Account
from eurydice_core.errors import NotFound
from eurydice_core.installation import Installation

__all__ = ["Api", "CurrentAccount", "CurrentApi", "TransferableId"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One side's API, opened."""

    installation: Installation
    threads: Threads
    authentication: Authentication
    door: ApiDoor
    page_tokens: PageTokens
    monitor: Monitor

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        self.threads.close()
        self.monitor.close()


async def current_api(request: Request) -> Api:
    """Return the API that a request came to."""
    api: Api = request.app.state.eurydice
    return api


CurrentApi = Annotated[Api, Depends(current_api)]


async def current_account(request: Request, api: CurrentApi) -> Account:
    """Return whose request it is, and remember it for the response's header."""
    account = await api.authentication.account(request.scope)
    request.state.account = account
    return account


CurrentAccount = Annotated[Account, Depends(current_account)]


async def transferable_id(id: str) -> uuid.UUID:
    """Return the id in a path; one that cannot be an id belongs to nothing."""
    try:
        return uuid.UUID(id)
    except ValueError:
        raise NotFound(f"no transferable {id[:40]!r}") from None


TransferableId = Annotated[uuid.UUID, Depends(transferable_id)]
