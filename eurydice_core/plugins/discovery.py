"""Finds the installed plugins and asks each what it offers."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from loguru import logger
from pydantic import BaseModel

from eurydice_core import hookspecs
from eurydice_core.errors import PluginError
from eurydice_core.plugins.kinds import InstalledPlugin, Kind
from eurydice_core.plugins.selection import Plugins

__all__ = ["TRACE_VARIABLE", "discover"]

TRACE_VARIABLE = "EURYDICE_TRACE_PLUGINS"
KINDS = {kind.hook: kind for kind in Kind}


def discover(*, trace: bool | None = None) -> Plugins:
    """Load every installed plugin; one that is broken is remembered with its cause.

    Args:
        trace: log every hook call; by default, if EURYDICE_TRACE_PLUGINS is set.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    if trace if trace is not None else os.environ.get(TRACE_VARIABLE, "0") not in ("", "0"):
        manager.add_hookcall_monitoring(trace_call, trace_result)
    found = sorted(entry_points(group=hookspecs.PROJECT), key=lambda point: point.name)
    doubles = {name for name, count in Counter(p.name for p in found).items() if count > 1}
    installed = [
        duplicate(point, found) if point.name in doubles else load(manager, point)
        for point in found
    ]
    for broken in installed:
        if broken.error is not None:
            logger.warning("plugin {} cannot be loaded: {}", broken, broken.error)
    return Plugins(installed, register=lambda module, name: offered(manager, module, name))


def trace_call(hook: str, implementations: Sequence[pluggy.HookImpl], _: Mapping[str, Any]) -> None:
    """Log that a hook is about to be called, and in which plugins."""
    names = ", ".join(implementation.plugin_name for implementation in implementations)
    logger.info("hook {} called in {}", hook, names or "no plugin")


def trace_result(outcome: pluggy.Result[Any], hook: str, *_: Any) -> None:
    """Log what came of it."""
    if outcome.exception is not None:
        logger.info("hook {} raised {!r}", hook, outcome.exception)
    else:
        logger.info("hook {} returned {}", hook, outcome.get_result())


def load(manager: pluggy.PluginManager, point: EntryPoint) -> InstalledPlugin:
    """Load one entry point and learn what it offers, or why it cannot be used."""
    try:
        module = point.load()
    except (Exception, SystemExit) as error:
        return described(point, error=reason(error))
    try:
        kind, plugin = offered(manager, module, point.name)
    except PluginError as error:
        return described(point, module, error=str(error))
    return described(point, module, kind=kind, plugin=plugin)


def described(
    point: EntryPoint, module: object = None, *, error: str | None = None, **facts: Any
) -> InstalledPlugin:
    """Say where an entry point comes from."""
    return InstalledPlugin(
        name=point.name,
        distribution=point.dist.name if point.dist else "",
        version=point.dist.version if point.dist else "",
        file=str(getattr(module, "__file__", "") or ""),
        error=error,
        **facts,
    )


def duplicate(point: EntryPoint, found: list[EntryPoint]) -> InstalledPlugin:
    """Refuse a name that several distributions claim: which one is meant is anybody's guess."""
    owners = [
        f"{other.dist.name} {other.dist.version}" if other.dist else other.value
        for other in found
        if other.name == point.name
    ]
    return described(point, error=f"{' and '.join(owners)} both offer this name; uninstall one")


def offered(
    manager: pluggy.PluginManager, module: object, name: str
) -> tuple[Kind, hookspecs.Plugin[Any]]:
    """Register a module, and return the one plugin it offers.

    Raises:
        PluginError: why it cannot be used; it is then not registered.
    """
    if manager.has_plugin(name):
        raise PluginError(f"there is already a plugin called {name!r}")
    if not isinstance(module, Hashable):
        raise PluginError(f"must be a module, or another hashable object, is {type(module)}")
    try:
        manager.register(module, name)
    except (ValueError, pluggy.PluginValidationError) as error:
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise PluginError(str(error).replace("\n", " ")) from error
    try:
        kind = only_kind(manager, module)
        return kind, checked(kind, name, call(manager, kind, module))
    except PluginError:
        manager.unregister(name=name)
        raise


def only_kind(manager: pluggy.PluginManager, module: object) -> Kind:
    """Return the kind of a registered module by the hook it has."""
    hooks = [caller.name for caller in manager.get_hookcallers(module) or []]
    for hook in hooks:
        if hook not in KINDS:
            meant = difflib.get_close_matches(hook, KINDS, n=1)
            raise PluginError(
                f"unknown hook {hook!r}" + (f"; did you mean {meant[0]!r}?" if meant else "")
            )
    if len(hooks) != 1:
        kinds = " and ".join(hooks) or "none"
        raise PluginError(f"must have one hook of Eurydice marked with @hookimpl, has {kinds}")
    return KINDS[hooks[0]]


def call(manager: pluggy.PluginManager, kind: Kind, module: object) -> object:
    """Ask one module alone what it offers."""
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    try:
        answers = manager.subset_hook_caller(kind.hook, others)()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{kind.hook} raised {reason(error)}") from error
    return answers[0] if answers else None


def checked(kind: Kind, name: str, plugin: object) -> hookspecs.Plugin[Any]:
    """Return what a hook returned if it is what its specification says."""
    if not isinstance(plugin, kind.offer):
        raise PluginError(
            f"{kind.hook} must return a {kind.offer.__name__}, returned {type(plugin).__name__}"
        )
    if plugin.name != name:
        raise PluginError(f"calls itself {plugin.name!r}, but its entry point is {name!r}")
    if not (isinstance(plugin.settings, type) and issubclass(plugin.settings, BaseModel)):
        raise PluginError("its settings must be a pydantic model, derived from PluginSettings")
    return plugin


def reason(error: BaseException) -> str:
    """Return a cause in one line; an import error says all by itself."""
    text = " ".join(str(error).split())
    if isinstance(error, ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
