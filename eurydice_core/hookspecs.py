"""The whole plugin surface: one hook a kind, each returning one frozen dataclass.

A plugin is a package with an entry point of group `eurydice` that names a module, and
in that module one function:

    from eurydice_core.hookspecs import StoragePlugin, hookimpl

    @hookimpl
    def eurydice_storage() -> StoragePlugin:
        return StoragePlugin(
            name="storage_fs", summary="Files below a directory.",
            settings=Settings, create=lambda settings, context: FileStorage(settings.root),
        )

The name is the entry point's, and what `plugin = "..."` says in the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pluggy
from pydantic import BaseModel, ConfigDict

from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.interfaces.event import EventListener
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.interfaces.storage import Storage
from eurydice_core.interfaces.transport import Transport
from eurydice_core.interfaces.web import ASGIApp
from eurydice_core.model.states import Side
from eurydice_core.private_files import Access

__all__ = [
    "PROJECT",
    "AuthenticatorPlugin",
    "Context",
    "EventPlugin",
    "Plugin",
    "PluginSettings",
    "SchedulerPlugin",
    "StoragePlugin",
    "TransportPlugin",
    "WebPlugin",
    "hookimpl",
    "hookspec",
]

PROJECT = "eurydice"
"""Name of the project in pluggy, and of the entry point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

T = TypeVar("T")


class PluginSettings(BaseModel):
    """Base of a plugin's settings: unknown keys are refused, values never change.

    Give every field a description: it is what `eurydice plugins show` prints.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def private_files(self) -> Iterable[tuple[Path, Access]]:
        """Return files and directories of the plugin's own, and who may read them.

        `eurydice config check` and `eurydice run` warn of those that are open to others.

        Raises:
            ConfigurationError: a setting names a group that cannot be used.
        """
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the core tells a plugin when it creates it."""

    side: Side
    """Which end of the link this is."""
    state_dir: Path
    """A directory of this installation for small files of the plugin's own; it exists."""
    link_key: bytes = field(default=b"", repr=False)
    """For transports: 32 secret bytes that only the two ends of this link know, derived from
    `[link] secret` for what the transport itself authenticates; empty for other plugins, and
    where there is no installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin(Generic[T]):
    """What a plugin of any kind hands to the core."""

    name: str
    """The entry point's name, and what the configuration says to choose it."""
    summary: str
    """One sentence for `eurydice plugins list`."""
    settings: type[BaseModel]
    """Validates the plugin's own keys in the configuration; derive it from `PluginSettings`."""
    create: Callable[[Any, Context], T]
    """Builds the plugin's object from an instance of `settings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePlugin(Plugin[Storage]):
    """Somewhere to keep bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorPlugin(Plugin[Authenticator]):
    """A way to know who is asking."""

    needs_proxy: bool = False
    """Whether it believes what a reverse proxy says. The configuration is then refused unless it
    names a proxy that proves itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerPlugin(Plugin[Scheduler]):
    """A way to choose what goes next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportPlugin(Plugin[Transport]):
    """A way across the link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPlugin(Plugin[ASGIApp]):
    """Pages, or anything else spoken over HTTP."""

    path: str
    """Where it is mounted, such as `/ui`; `/` takes what nothing else answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlugin(Plugin[EventListener]):
    """Somebody who wants to know what happens."""


@hookspec
def eurydice_storage() -> StoragePlugin:  # type: ignore[empty-body]
    """Offer somewhere to keep transferred bytes; one is chosen by `[storage] plugin`."""


@hookspec
def eurydice_authenticator() -> AuthenticatorPlugin:  # type: ignore[empty-body]
    """Offer a way to know who is asking; tried in the order of `[auth] plugins`."""


@hookspec
def eurydice_scheduler() -> SchedulerPlugin:  # type: ignore[empty-body]
    """Offer a way to choose what goes next; one is chosen by `[scheduler] plugin`."""


@hookspec
def eurydice_transport() -> TransportPlugin:  # type: ignore[empty-body]
    """Offer a way across the link; one is chosen by `[transport] plugin`."""


@hookspec
def eurydice_web() -> WebPlugin:  # type: ignore[empty-body]
    """Offer an ASGI application to mount beside the API; all of `[web] plugins` are."""


@hookspec
def eurydice_event() -> EventPlugin:  # type: ignore[empty-body]
    """Offer a listener for what happens; all of `[events] plugins` are told."""
