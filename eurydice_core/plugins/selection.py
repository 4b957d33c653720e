"""Chooses plugins by name and builds what they offer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from eurydice_core.errors import ConfigurationError, EurydiceError, PluginError
from eurydice_core.hookspecs import Context, Plugin
from eurydice_core.interfaces.authenticator import Authenticator
from eurydice_core.interfaces.event import EventListener
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.interfaces.storage import Storage
from eurydice_core.interfaces.transport import Transport
from eurydice_core.interfaces.web import ASGIApp
from eurydice_core.plugins.kinds import InstalledPlugin, Kind
from eurydice_core.plugins.options import validate_options

__all__ = ["Plugins"]

Options = Mapping[str, Any]


class Plugins:
    """The plugins of this machine."""

    def __init__(
        self,
        installed: Iterable[InstalledPlugin],
        register: Callable[[object, str], tuple[Kind, Plugin[Any]]],
    ) -> None:
        self._installed = list(installed)
        self._register = register

    @property
    def installed(self) -> list[InstalledPlugin]:
        """Every plugin that was found, usable or not, by name."""
        return sorted(self._installed, key=lambda plugin: plugin.name)

    def register(self, module: object, name: str) -> None:
        """Add a plugin that is not installed: any object with one hook implementation.

        Raises:
            PluginError: it is no plugin, or the name is taken.
        """
        if any(known.name == name for known in self._installed):
            raise PluginError(f"plugin {name} cannot be registered: the name is taken")
        try:
            kind, plugin = self._register(module, name)
        except PluginError as error:
            raise PluginError(f"plugin {name} cannot be registered: {error}") from error
        file = str(getattr(module, "__file__", "") or "")
        self._installed.append(InstalledPlugin(name=name, kind=kind, plugin=plugin, file=file))

    def choose(self, kind: Kind, name: str) -> Plugin[Any]:
        """Return the plugin of this name.

        Raises:
            PluginError: there is none, it is of another kind, or it is broken.
        """
        for known in self._installed:
            if known.name == name and known.error is not None:
                raise PluginError(f"plugin {known} cannot be loaded: {known.error}")
            if known.name == name and known.kind is kind and known.plugin is not None:
                return known.plugin
        raise PluginError(self._nothing_called(kind, name))

    def _nothing_called(self, kind: Kind, name: str) -> str:
        """Say what there is instead."""
        usable = [known.name for known in self.installed if known.kind is kind]
        other = next((known.kind for known in self._installed if known.name == name), None)
        is_other = f" ({name} is of kind {other})" if other else ""
        meant = difflib.get_close_matches(name, usable, n=1)
        return (
            f"no {kind} plugin called {name!r}{is_other}; installed: {', '.join(usable) or 'none'}"
            + (f"; did you mean {meant[0]!r}?" if meant else "")
        )

    def settings(
        self, kind: Kind, name: str, options: Options, origins: Mapping[str, str] | None = None
    ) -> BaseModel:
        """Return a plugin's settings, checked by its own model.

        Args:
            kind: the plugin's kind.
            name: its name.
            options: the keys of its table.
            origins: dotted key -> `file PATH` or `environment NAME`, which messages name.

        Raises:
            PluginError: there is no such plugin, or it is broken.
            ConfigurationError: one line for every wrong key.
        """
        plugin = self.choose(kind, name)
        table = kind.table(name)
        return validate_options(
            plugin.settings, options, plugin=name, table=table, origins=origins or {}
        )

    def require_proxy(self, authenticators: Iterable[str], has_proxy: bool) -> None:
        """Return unless an authenticator needs a reverse proxy and none can prove itself.

        Raises:
            PluginError: there is no such plugin, or it is broken.
            ConfigurationError: one does; says what to set.
        """
        for name in authenticators:
            plugin = self.choose(Kind.AUTHENTICATOR, name)
            if getattr(plugin, "needs_proxy", False) and not has_proxy:
                raise ConfigurationError(
                    f"[auth] plugins: {name} believes a reverse proxy, and none can prove itself:"
                    " set [api] socket, or [api] trusted_proxies and proxy_secret"
                    " (docs/how-to/deploy.md)"
                )

    def create(self, kind: Kind, name: str, options: Options, context: Context) -> object:
        """Build what a plugin offers.

        Raises:
            PluginError: there is no such plugin, or it is broken.
            ConfigurationError: one line for every wrong key.
        """
        plugin = self.choose(kind, name)
        settings = self.settings(kind, name, options)
        try:
            product = plugin.create(settings, context)
        except EurydiceError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise PluginError(f"plugin {name} cannot be created: {cause}") from error
        if not (isinstance(product, kind.product) if kind.product else callable(product)):
            raise PluginError(
                f"plugin {name} created a {type(product).__name__}, which is no {kind}"
            )
        return product

    def create_storage(self, name: str, options: Options, context: Context) -> Storage:
        """Build a storage; see `create`."""
        return self.create(Kind.STORAGE, name, options, context)  # type: ignore[return-value]

    def create_authenticator(self, name: str, options: Options, context: Context) -> Authenticator:
        """Build an authenticator; see `create`."""
        return self.create(Kind.AUTHENTICATOR, name, options, context)  # type: ignore[return-value]

    def create_scheduler(self, name: str, options: Options, context: Context) -> Scheduler:
        """Build a scheduler; see `create`."""
        return self.create(Kind.SCHEDULER, name, options, context)  # type: ignore[return-value]

    def create_transport(self, name: str, options: Options, context: Context) -> Transport:
        """Build a transport; see `create`."""
        return self.create(Kind.TRANSPORT, name, options, context)  # type: ignore[return-value]

    def create_web(self, name: str, options: Options, context: Context) -> ASGIApp:
        """Build an ASGI application; see `create`. Its path is in `choose(Kind.WEB, name)`."""
        return self.create(Kind.WEB, name, options, context)  # type: ignore[return-value]

    def create_listener(self, name: str, options: Options, context: Context) -> EventListener:
        """Build an event listener; see `create`."""
        return self.create(Kind.EVENT, name, options, context)  # type: ignore[return-value]
