"""The kinds of plugins, and what is known of an installed one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eurydice_core import hookspecs
from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.interfaces.event import EventListener
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.interfaces.storage import Storage
from eurydice_core.interfaces.transport import Transport

__all__ = ["InstalledPlugin", "Kind"]


class Kind(StrEnum):
    """What a plugin is for."""

    STORAGE = "storage"
    AUTHENTICATOR = "authenticator"
    SCHEDULER = "scheduler"
    TRANSPORT = "transport"
    WEB = "web"
    EVENT = "event"

    @property
    def hook(self) -> str:
        """Name of the hook that offers such a plugin."""
        return f"eurydice_{self}"

    @property
    def offer(self) -> type[hookspecs.Plugin[Any]]:
        """What the hook returns."""
        return OFFERS[self]

    @property
    def product(self) -> type | None:
        """What the plugin's `create` returns; None where any callable will do."""
        return PRODUCTS.get(self)

    def table(self, name: str) -> str:
        """Return the configuration table that holds the keys of this plugin."""
        return {
            Kind.AUTHENTICATOR: f"auth.{name}",
            Kind.WEB: f"web.{name}",
            Kind.EVENT: f"events.{name}",
        }.get(self, str(self))


OFFERS: dict[Kind, type[hookspecs.Plugin[Any]]] = {
    Kind.STORAGE: hookspecs.StoragePlugin,
    Kind.AUTHENTICATOR: hookspecs.AuthenticatorPlugin,
    Kind.SCHEDULER: hookspecs.SchedulerPlugin,
    Kind.TRANSPORT: hookspecs.TransportPlugin,
    Kind.WEB: hookspecs.WebPlugin,
    Kind.EVENT: hookspecs.EventPlugin,
}
PRODUCTS: dict[Kind, type] = {
    Kind.STORAGE: Storage,
    Kind.AUTHENTICATOR: Authenticator,
    Kind.SCHEDULER: Scheduler,
    Kind.TRANSPORT: Transport,
    Kind.EVENT: EventListener,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPlugin:
    """One entry point of the group, usable or not."""

    name: str
    distribution: str = ""
    """The distribution that brought it; empty for one registered by an embedder."""
    version: str = ""
    file: str = ""
    """Where its module is; empty if it could not be loaded."""
    kind: Kind | None = None
    """None where it is too broken to tell."""
    plugin: hookspecs.Plugin[Any] | None = None
    """What it offers; None if it is broken."""
    error: str | None = None
    """Why it is broken."""

    @property
    def summary(self) -> str:
        """Its own sentence about itself."""
        return self.plugin.summary if self.plugin else ""

    def __str__(self) -> str:
        """Return the name as an error message needs it, with where it comes from."""
        origin = " ".join(filter(None, (self.distribution, self.version)))
        return f"{self.name} ({origin})" if origin else self.name
