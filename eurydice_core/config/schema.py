"""What the settings may be called: the paths through the models, and near misses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from eurydice_core.config.choices import PluginChoice, PluginList
from eurydice_core.config.settings import Settings

__all__ = [
    "ENVIRONMENT_PREFIX",
    "FIELDS",
    "OPEN_TABLES",
    "SECRETS",
    "is_known",
    "is_secret_file",
    "nearest",
    "table_at",
    "variable",
]

ENVIRONMENT_PREFIX = "EURYDICE_"

Path = tuple[str, ...]


def table_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a table, None for a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def fields(model: type[BaseModel] = Settings, above: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Yield every setting of the core with its path; a plugin's own keys are not among them."""
    for name, field in model.model_fields.items():
        table = table_of(field)
        if table is not None:
            yield from fields(table, (*above, name))
        elif not (name == "options" and issubclass(model, PluginChoice | PluginList)):
            yield (*above, name), field


FIELDS = dict(fields())
"""Every setting of the core, by path."""

OPEN_TABLES = {
    name: table
    for name, field in Settings.model_fields.items()
    if (table := table_of(field)) and issubclass(table, PluginChoice | PluginList)
}
"""Tables that a plugin's own keys may stand in."""

SECRETS = tuple(
    path
    for path, field in FIELDS.items()
    if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
)
"""Settings that are never shown, and may be given as `<name>_file`."""


def is_known(path: Path) -> bool:
    """Whether the core knows this setting, or leaves it to a plugin to know."""
    if path in FIELDS:
        return True
    table = OPEN_TABLES.get(path[0])
    if table is None:
        return False
    return len(path) >= (2 if issubclass(table, PluginChoice) else 3)


def is_secret_file(path: Path) -> bool:
    """Whether this names the file of a secret."""
    return path[-1].endswith("_file") and (*path[:-1], path[-1].removesuffix("_file")) in SECRETS


def table_at(path: Path) -> type[BaseModel] | None:
    """Return the model of the table at this path, None where none is."""
    field = Settings.model_fields.get(path[0]) if len(path) == 1 else None
    return table_of(field) if field else None


def variable(path: Path) -> str:
    """Return the environment variable of a setting."""
    return ENVIRONMENT_PREFIX + "__".join(path).upper()


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the most similar of some names, None if none is as similar as `cutoff`, of 1."""
    return next(iter(difflib.get_close_matches(name, sorted(names), n=1, cutoff=cutoff)), None)
