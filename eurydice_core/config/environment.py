"""The environment: `EURYDICE_UPLOAD__RANGE_SIZE=8MiB` is `[upload] range_size = "8MiB"`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from eurydice_core.config.file import CONFIG_VARIABLE
from eurydice_core.config.foreign import is_service_link, misspelt
from eurydice_core.config.layer import Layer, put
from eurydice_core.config.schema import (
    ENVIRONMENT_PREFIX,
    FIELDS,
    OPEN_TABLES,
    is_known,
    is_secret_file,
    nearest,
    variable,
)

__all__ = ["NOT_SETTINGS", "read_environment"]

NOT_SETTINGS = frozenset(
    {
        CONFIG_VARIABLE,
        "EURYDICE_TRACE_PLUGINS",
        # These belong to the system whose operators bring their environment along.
        "EURYDICE_API",
        "EURYDICE_CONTACT",
        "EURYDICE_CONTACT_FR",
        "EURYDICE_IPV4_SUBNET",
        "EURYDICE_TRANSFERABLE_MAX_SIZE",
        "EURYDICE_VERSION",
    }
)
"""Variables that look like settings and are none."""


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Read the settings among the `EURYDICE_` variables.

    One that is no setting is a problem if it is spelt like one: with two underscores, or
    nearly as one of them. Any other is ignored with a warning, and in silence if it is the
    address of a service, which orchestrators set for every program they start.

    An empty value counts as not set, as that is what deployment tools make of a
    variable that nobody filled in.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    notes: list[str] = []
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_SETTINGS:
            continue
        path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        if not (is_known(path) or is_secret_file(path)):
            if is_service_link(name, environ[name]):
                continue
            if "__" in name or misspelt(name):
                problems.append(unknown(name))
            else:
                notes.append(f"the variable {name} is no setting, and is ignored")
        elif environ[name]:
            put(values, path, environ[name] if path in FIELDS else decoded(environ[name]))
            origins[".".join(path)] = f"environment {name}"
    return Layer(values, origins, problems, notes)


def decoded(text: str) -> Any:
    """Read a plugin's list or table from JSON; its other values it reads from text itself."""
    if text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def unknown(name: str) -> str:
    """Say that this is no setting, and which one may have been meant."""
    if "__" not in name:
        return f"unknown setting {name}; did you mean {misspelt(name)}?"
    table, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).partition("__")
    open_table = nearest(table.lower(), OPEN_TABLES) if separator else None
    if open_table is not None and open_table != table.lower():
        meant: str | None = variable((open_table, key))
    else:
        names = {variable(path).removeprefix(ENVIRONMENT_PREFIX): path for path in FIELDS}
        near = nearest(name.removeprefix(ENVIRONMENT_PREFIX), names)
        meant = variable(names[near]) if near else None
    return f"unknown setting {name}" + (f"; did you mean {meant}?" if meant else "")
