"""`eurydice plugins`: what is installed, and what can be set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
from pydantic import BaseModel

from eurydice_core.cli.config import chosen_plugins
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.config import find_settings
from eurydice_core.config.reference import default_of, type_of
from eurydice_core.errors import PluginError
from eurydice_core.plugins import InstalledPlugin, Kind, Plugins, discover

__all__ = ["plugins"]


@click.group()
def plugins() -> None:
    """List the installed plugins, or show one."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_invocation
def list_(invocation: Invocation, as_json: bool) -> None:
    """List the installed plugins; those marked `*` are chosen by the configuration."""
    loaded = find_settings(invocation.config, invocation.environ)
    chosen = {plugin.name for plugin in chosen_plugins(loaded.settings if loaded else None)}
    installed = discover().installed
    if as_json:
        click.echo(json.dumps([facts(plugin, plugin.name in chosen) for plugin in installed]))
        return
    for plugin in installed:
        for line in lines(plugin, plugin.name in chosen):
            click.echo(line)
    by = (loaded.file or "the environment") if loaded else "default, as there is no configuration"
    click.echo(f"* chosen by {by}")


def facts(plugin: InstalledPlugin, chosen: bool) -> dict[str, Any]:
    """Return what is known of a plugin."""
    return {
        "name": plugin.name,
        "kind": plugin.kind,
        "version": plugin.version,
        "distribution": plugin.distribution,
        "file": plugin.file,
        "summary": plugin.summary,
        "chosen": chosen,
        "error": plugin.error,
    }


def lines(plugin: InstalledPlugin, chosen: bool) -> Iterator[str]:
    """Yield a plugin's lines of the list."""
    about = f"BROKEN: {plugin.error}" if plugin.error else plugin.summary
    kind = plugin.kind or "?"
    yield f"{'*' if chosen else ' '} {plugin.name:22} {kind:14} {plugin.version:8} {about}"
    origin = ", ".join(filter(None, (plugin.distribution, plugin.file)))
    yield f"  {'':22} {origin}"


@plugins.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(name: str, as_json: bool) -> None:
    """Show the keys that plugin NAME takes in the configuration."""
    installed = discover()
    known = usable(installed, name)
    keys = list(settings_of(known.plugin.settings)) if known.plugin else []
    if as_json:
        click.echo(json.dumps({**facts_without_choice(known), "settings": keys}, indent=2))
        return
    click.echo(f"{known}, {known.kind}: {known.summary}")
    click.echo(f"Keys of [{known.kind.table(name)}]:" if known.kind and keys else "No keys.")
    for key in keys:
        default = "required" if key["required"] else f"default {key['default']}"
        click.echo(f"\n  {key['name']}: {key['type']}, {default}".replace("`", ""))
        click.echo(click.wrap_text(key["description"], 78, "      ", "      "))


def usable(installed: Plugins, name: str) -> InstalledPlugin:
    """Return a plugin by its name alone, if it can be used.

    Raises:
        PluginError: there is none, or it is broken.
    """
    known = next((plugin for plugin in installed.installed if plugin.name == name), None)
    if known is None:
        names = ", ".join(plugin.name for plugin in installed.installed)
        raise PluginError(f"no plugin called {name!r}; installed: {names or 'none'}")
    installed.choose(known.kind or Kind.STORAGE, name)
    return known


def facts_without_choice(plugin: InstalledPlugin) -> dict[str, Any]:
    """Return what is known of a plugin, apart from any configuration."""
    known = facts(plugin, chosen=False)
    del known["chosen"]
    return known


def settings_of(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Yield what each key is."""
    for name, field in model.model_fields.items():
        yield {
            "name": name,
            "type": type_of(field),
            "default": default_of(field),
            "required": field.is_required(),
            "description": field.description or "",
        }
