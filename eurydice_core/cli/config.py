"""`eurydice config`: is it right, and what does it say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.config import Loaded, PluginChoice, PluginList, Settings
from eurydice_core.config.reference import reference
from eurydice_core.config.schema import FIELDS
from eurydice_core.errors import ConfigurationError, PluginError
from eurydice_core.installation import network_problems
from eurydice_core.model.quantities import unit_of
from eurydice_core.model.written import MASK, written
from eurydice_core.plugins import Kind, Plugins, discover

__all__ = ["Chosen", "chosen_plugins", "config", "require_usable"]

WIDEST = 40  # columns for a value; a wider one pushes only its own origin aside
CHOICES = {
    "storage": Kind.STORAGE,
    "auth": Kind.AUTHENTICATOR,
    "scheduler": Kind.SCHEDULER,
    "transport": Kind.TRANSPORT,
    "web": Kind.WEB,
    "events": Kind.EVENT,
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """One plugin that the configuration names."""

    kind: Kind
    name: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """One effective setting."""

    key: str
    value: str
    origin: str


def chosen_plugins(settings: Settings | None) -> Iterator[Chosen]:
    """Yield the plugins that the settings name, or the defaults where there are none."""
    for table, kind in CHOICES.items():
        default = Settings.model_fields[table].get_default()
        choice: PluginChoice | PluginList = getattr(settings, table) if settings else default
        if isinstance(choice, PluginChoice):
            yield Chosen(kind, choice.plugin, choice.options)
        else:
            yield from (Chosen(kind, name, choice.options_of(name)) for name in choice.plugins)


@click.group()
def config() -> None:
    """Check the configuration, or show it."""


@config.command()
@pass_invocation
def check(invocation: Invocation) -> None:
    """Check the configuration and the keys of the plugins it names."""
    from eurydice_core.cli.exposure import exposures  # which needs this module

    loaded, plugins = invocation.load(), discover()
    chosen = list(chosen_plugins(loaded.settings))
    require_usable(loaded, plugins)
    for line in [*loaded.notes, *exposures(loaded, plugins)]:
        click.echo(f"eurydice: warning: {line}", err=True)
    names = ", ".join(plugin.name for plugin in chosen)
    place = loaded.file or "the environment"
    click.echo(f"OK: {place} ({loaded.settings.side}: {names})")


def require_usable(loaded: Loaded, plugins: Plugins) -> None:
    """Return if the chosen plugins can be created with these settings.

    Raises:
        ConfigurationError: one line for each problem.
    """
    settings = loaded.settings
    problems = list(problems_with(list(chosen_plugins(settings)), plugins, loaded.origins))
    problems += network_problems(settings)
    try:
        plugins.require_proxy(settings.auth.plugins, settings.api.has_proxy)
    except ConfigurationError as error:
        problems.append(str(error))
    except PluginError:
        pass  # is among the problems already
    if problems:
        raise ConfigurationError("\n".join(problems))


def problems_with(
    chosen: list[Chosen], plugins: Plugins, origins: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is wrong with each plugin, instead of stopping at the first."""
    for plugin in chosen:
        try:
            plugins.settings(plugin.kind, plugin.name, plugin.options, origins)
        except (ConfigurationError, PluginError) as error:
            yield from str(error).splitlines()


@config.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def show(invocation: Invocation, as_json: bool) -> None:
    """Show every setting in force and where it comes from; secrets are masked."""
    loaded = invocation.load()
    rows = [*core_rows(loaded), *plugin_rows(loaded, discover())]
    if as_json:
        facts = {row.key: {"value": row.value, "origin": row.origin} for row in rows}
        click.echo(json.dumps(facts, indent=2))
        return
    keys = max(len(row.key) for row in rows)
    values = min(max(len(row.value) for row in rows), WIDEST)
    for row in rows:
        click.echo(f"{row.key:{keys}}  {row.value:{values}}  {row.origin}")


@config.command("reference")
def reference_() -> None:
    """Print every setting there is, as Markdown."""
    click.echo(reference())


def core_rows(loaded: Loaded) -> Iterator[Shown]:
    """Yield the core's own settings."""
    for path, field in FIELDS.items():
        value: Any = loaded.settings
        for name in path:
            value = getattr(value, name)
        if path == ("database", "url"):
            value = loaded.settings.database.masked_url
        key = ".".join(path)
        yield Shown(key, written(value, unit_of(field)), loaded.origins[key])


def plugin_rows(loaded: Loaded, plugins: Plugins) -> Iterator[Shown]:
    """Yield the settings of the chosen plugins, their defaults included."""
    for plugin in chosen_plugins(loaded.settings):
        table = plugin.kind.table(plugin.name)
        checked = plugins.settings(plugin.kind, plugin.name, plugin.options, loaded.origins)
        for name, value in shown_values(checked).items():
            key = f"{table}.{name}"
            origin = loaded.origins.get(key) or loaded.origins.get(f"{key}_file") or "default"
            yield Shown(key, value, origin)


def shown_values(model: BaseModel) -> dict[str, str]:
    """Return a plugin's settings as one would write them, what is secret masked."""
    return {
        name: masked(getattr(model, name), unit_of(field))
        for name, field in type(model).model_fields.items()
    }


def masked(value: Any, unit: str | None) -> str:
    """Return a value, or a mask where a secret is in it, however deep."""
    if isinstance(value, BaseModel | dict | list | tuple) and "SecretStr(" in repr(value):
        return MASK
    return MASK if isinstance(value, SecretStr) else written(value, unit)
