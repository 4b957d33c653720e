"""The administration of one side, in the name of one member of staff."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from eurydice_core import __version__
from eurydice_core.api.administration.accounts import list_users, show_user
from eurydice_core.api.administration.actions import perform
from eurydice_core.api.monitoring.checks import Result
from eurydice_core.api.monitoring.monitor import Monitor
from eurydice_core.api.threads import Threads
from eurydice_core.db.accounts import Account
from eurydice_core.db.notes import NoteKind, get_notes
from eurydice_core.destination import catalogue as incoming
from eurydice_core.destination import oversight as received
from eurydice_core.installation import Installation
from eurydice_core.interfaces.administration import (
    MAX_LIMIT,
    Action,
    AddUser,
    Administration,
    Check,
    Listed,
    Outcome,
    SetPassword,
    SideStatus,
    TransferableDetails,
    TransferableFacts,
    TransferableQuery,
    UserDetails,
    UserFacts,
    UserQuery,
)
from eurydice_core.link.reception import LinkRecord, ReceptionFacts, diagnose_reception
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import Side
from eurydice_core.origin import catalogue as outgoing
from eurydice_core.origin import oversight as sent
from eurydice_core.origin.maintenance import in_maintenance

__all__ = ["Desk"]

OVERSIGHT: Final[Mapping[Side, Any]] = {Side.ORIGIN: sent, Side.DESTINATION: received}


class Desk(Administration):
    """Asks the database in threads, as the API does."""

    def __init__(
        self, installation: Installation, threads: Threads, monitor: Monitor, actor: Account
    ) -> None:
        self.side = installation.settings.side
        self._installation = installation
        self._threads = threads
        self._monitor = monitor
        self._actor = actor

    async def status(self) -> SideStatus:
        """Return what the checks found, and the figures."""
        results = await self._monitor.readiness.results()
        return await self._threads.run(_status, self._installation, results)

    async def users(self, query: UserQuery) -> Listed[UserFacts]:
        """Return a page of the accounts, by name."""
        return await self._threads.run(list_users, self._installation, _bounded(query))

    async def user(self, username: str) -> UserDetails:
        """Return one account."""
        return await self._threads.run(show_user, self._installation, username)

    async def transferables(self, query: TransferableQuery) -> Listed[TransferableFacts]:
        """Return a page of everybody's transferables."""
        listed: Listed[TransferableFacts] = await self._threads.run(
            OVERSIGHT[self.side].list_transferables, self._installation.database, _bounded(query)
        )
        return listed

    async def transferable(self, id: uuid.UUID) -> TransferableDetails:
        """Return one transferable."""
        found: TransferableDetails = await self._threads.run(
            OVERSIGHT[self.side].show_transferable, self._installation.database, id
        )
        return found

    async def perform(self, action: Action) -> Outcome:
        """Have the engine do it."""
        arguments = (self._installation, self._actor, action)
        if isinstance(action, AddUser | SetPassword):  # hash a password, as sign-ins do
            # Its own place in the queue: a flood from this address must not keep staff out.
            return await self._threads.run_hashing(
                f"staff {self._actor.username}", perform, *arguments
            )
        return await self._threads.run(perform, *arguments)


def _bounded(query: Any) -> Any:
    return dataclasses.replace(query, limit=max(1, min(query.limit, MAX_LIMIT)))


def _status(installation: Installation, results: Mapping[str, Result]) -> SideStatus:
    settings = installation.settings
    is_origin = settings.side is Side.ORIGIN
    since = utc_now() - timedelta(seconds=settings.api.metrics_window)
    with installation.database.read() as session:
        read: Any = outgoing.figures if is_origin else incoming.figures
        figures = dataclasses.asdict(read(session, since))
        noted = None if is_origin else get_notes(session, NoteKind.LINK)
    last = figures.pop("last_packet_sent_at" if is_origin else "last_packet_received_at")
    return SideStatus(
        version=__version__,
        maintenance=in_maintenance(installation.database) if is_origin else None,
        last_packet_at=last,
        checks=[
            Check(name=name, health=result.health, reason=result.reason)
            for name, result in results.items()
        ],
        figures=figures,
        findings=_findings(noted, settings.receiver.expect_packet_every),
    )


def _findings(noted: Mapping[str, Any] | None, allowed: float) -> list[str]:
    """Return what the receiver's own record of the link says, as `link doctor` does."""
    if noted is None:
        return []
    facts = ReceptionFacts(now=utc_now(), expect_packet_every=allowed)
    diagnosis = diagnose_reception(LinkRecord.read(noted), facts)
    return [f"{finding.place}: {finding.what}" for finding in diagnosis.findings]
