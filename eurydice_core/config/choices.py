"""Tables that name plugins: the core reads the name, the plugin reads the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = [
    "AuthenticatorList",
    "EventList",
    "PluginChoice",
    "PluginList",
    "SchedulerChoice",
    "StorageChoice",
    "Table",
    "TransportChoice",
    "WebList",
    "split_list",
]


def split_list(value: object) -> object:
    """Take `a,b` or a JSON list for a list, which is how the environment spells one."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value  # refused later, as no list
    return [item.strip() for item in value.split(",") if item.strip()]


class Table(BaseModel):
    """Base of every table: unknown keys are refused, values never change, errors hide them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
    )


class PluginChoice(Table):
    """One plugin, and its own keys, which it checks itself."""

    plugin: str = Field(min_length=1, description="Name of the plugin.")
    options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Every other key of the table."
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        options = {key: data[key] for key in data if key not in ("plugin", "options")}
        given = data.get("options", {})
        if not isinstance(given, Mapping):
            return data
        gathered: dict[str, Any] = {"options": {**given, **options}}
        return gathered | ({"plugin": data["plugin"]} if "plugin" in data else {})


class StorageChoice(PluginChoice):
    """Where transferred bytes rest."""

    plugin: str = Field(default="storage_fs", min_length=1, description="Name of the plugin.")


class SchedulerChoice(PluginChoice):
    """What goes next onto the link (origin)."""

    plugin: str = Field(
        default="scheduler_rotating", min_length=1, description="Name of the plugin."
    )


class TransportChoice(PluginChoice):
    """How packets cross; the same plugin on both sides."""

    plugin: str = Field(default="transport_udp", min_length=1, description="Name of the plugin.")


def is_options(key: str, value: object) -> bool:
    """Tell whether a key of a `PluginList` is the table of a plugin, or that of all of them."""
    return key != "plugins" and isinstance(value, Mapping)


class PluginList(Table):
    """Plugins in order, each with a table of its own below this one."""

    plugins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(), description="Names of the plugins, in order."
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, repr=False, description="One table a plugin, named as the plugin."
    )

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        tables = {key: data[key] for key in data if is_options(key, data[key])}
        given = tables.pop("options", {})
        rest = {key: data[key] for key in data if key not in tables and key != "options"}
        return {**rest, "options": {**given, **tables}}

    @model_validator(mode="after")
    def _refuse_doubles(self) -> PluginList:
        if len(set(self.plugins)) < len(self.plugins):
            raise ValueError(f"names a plugin twice: {', '.join(self.plugins)}")
        return self

    @model_validator(mode="after")
    def _refuse_strays(self) -> PluginList:
        for name in self.options:
            if name not in self.plugins:
                raise ValueError(f"has a table for {name!r}, which its 'plugins' does not name")
        return self

    def options_of(self, name: str) -> dict[str, Any]:
        """Return the keys of one plugin's table; a plugin without a table has none."""
        return self.options.get(name, {})


class AuthenticatorList(PluginList):
    """How users prove who they are; API tokens always work beside these."""

    plugins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=("auth_basic",), description="Names of the plugins, asked in this order."
    )


class WebList(PluginList):
    """What is served beside the API, such as web pages."""


class EventList(PluginList):
    """Who is told what happens, such as an audit trail."""
