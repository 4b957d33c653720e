"""The settings as tables for people, made from the models themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from eurydice_core.config.choices import PluginChoice, PluginList
from eurydice_core.config.legacy import COMBINED, LEGACY
from eurydice_core.config.legacy_unused import UNUSED
from eurydice_core.config.problems import title
from eurydice_core.config.schema import FIELDS, table_at, variable
from eurydice_core.config.settings import Settings
from eurydice_core.model.quantities import unit_of
from eurydice_core.model.written import written

__all__ = ["default_of", "reference", "type_of"]

NAMES: dict[Any, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "true or false",
    SecretStr: "secret",
    NoneType: "none",
    Any: "anything",
}


def reference() -> str:
    """Return the tables of the configuration page, as Markdown."""
    tables: dict[str, list[str]] = {}
    for path, field in FIELDS.items():
        tables.setdefault(path[0] if len(path) > 1 else "", []).append(row(path, field))
    lines = [line for name, rows in tables.items() for line in section(name, rows)]
    return "\n".join([*lines, *legacy_section()])


def legacy_section() -> Iterator[str]:
    """Yield the names that the settings had in the system before."""
    yield "## Variables of the existing system"
    yield ""
    yield "| variable | setting | only if this plugin is chosen |"
    yield "|---|---|---|"
    known = [(entry.name, entry.path, entry.plugin, entry.side) for entry in LEGACY]
    for names, path, plugin, side in [*known, *((*entry, None) for entry in COMBINED)]:
        variables = ", ".join(f"`{name}`" for name in names.split(", "))
        where = f" ({side})" if side else ""
        yield f"| {variables} | `{title(path)}`{where} | {f'`{plugin}`' if plugin else ''} |"
    yield ""
    yield "These are known and have no effect; `eurydice config check` and the log of"
    yield "`eurydice run` name each one that is set, once."
    yield ""
    yield "| variable | reason |"
    yield "|---|---|"
    for entry in UNUSED:
        yield f"| `{entry.name}` | {entry.reason} |"
    yield ""


def section(name: str, rows: list[str]) -> Iterator[str]:
    """Yield the lines of one table of the file."""
    model: type[BaseModel] = (name and table_at((name,))) or Settings
    yield f"## `[{name}]`" if name else "## Top level"
    yield ""
    if name:
        yield " ".join((model.__doc__ or "").split())
        yield ""
    if issubclass(model, PluginChoice):
        yield "Every other key of the table is the plugin's own."
        yield ""
    if issubclass(model, PluginList):
        yield f"Keys of a plugin stand in a table of its own, `[{name}.NAME]`."
        yield ""
    yield "| key | type | default | what it does | in the environment |"
    yield "|---|---|---|---|---|"
    yield from rows
    yield ""


def row(path: tuple[str, ...], field: FieldInfo) -> str:
    """Return the line of one setting."""
    cells = (
        f"`{path[-1]}`",
        type_of(field),
        default_of(field, mark="`") or "**required**",
        field.description or "",
        f"`{variable(path)}`",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def type_of(field: FieldInfo) -> str:
    """Return what a setting takes, in a word or two."""
    return unit_of(field) or type_name(field.annotation)


def type_name(kind: Any) -> str:
    """Return a type as people call it."""
    if kind in NAMES:
        return NAMES[kind]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (list, tuple, set, frozenset):
        return f"list of {type_name(parts[0])}" if parts else "list"
    if origin is dict or kind is dict:
        return "table"
    if parts:
        return " or ".join(dict.fromkeys(type_name(part) for part in parts))
    if hasattr(kind, "__members__"):
        return ", ".join(f"`{member.value}`" for member in kind)
    name = getattr(kind, "__name__", str(kind))
    return (
        "network" if name.startswith("IPv") else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    )


def default_of(field: FieldInfo, *, mark: str = "") -> str | None:
    """Return a setting's default as one would write it, None where it has none."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value == "":
        return "none"
    text = written(value, unit_of(field))
    return f'{mark}"{text}"{mark}' if unit_of(field) else f"{mark}{text}{mark}"
