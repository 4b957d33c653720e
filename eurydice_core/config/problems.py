"""Validation errors as lines that people can act on, secrets left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from eurydice_core.config.schema import FIELDS, nearest, table_at, variable
from eurydice_core.config.settings import Settings
from eurydice_core.model.expectations import place_of, reason

__all__ = ["problems_of", "title"]

Path = tuple[str, ...]


def problems_of(error: ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield one line a problem: the setting, its place, what is expected and what was given."""
    for details in error.errors(include_url=False):
        whole = tuple(str(part) for part in details["loc"])
        path = known_part(whole)
        if details["type"] == "missing":
            yield from map(missing, required_at(path))
            continue
        is_item = len(path) < len(whole)
        text = (
            unknown_key(path)
            if details["type"] == "extra_forbidden"
            else reason(details, field_of(path), is_item=is_item)
        )
        yield f"{title(path)}{place_of('.'.join(path), origins)}: {text}" if path else text


def field_of(path: Path) -> FieldInfo | None:
    """Return the setting or the table at this path."""
    return FIELDS.get(path) or (Settings.model_fields.get(path[0]) if len(path) == 1 else None)


def required_at(path: Path) -> list[Path]:
    """Return the setting at this path, or those of this table that have no default."""
    table = table_at(path)
    if table is None:
        return [path]
    return [(*path, name) for name, field in table.model_fields.items() if field.is_required()]


def missing(path: Path) -> str:
    """Say where a setting can be set."""
    return f"{title(path)} is missing: set it in the file, or as {variable(path)}"


def title(path: Path) -> str:
    """Return a path as the file has it: `[upload] range_size`."""
    if len(path) == 1:
        return f"[{path[0]}]" if table_at(path) else path[0]
    return f"[{'.'.join(path[:-1])}] {path[-1]}"


def known_part(path: Path) -> Path:
    """Cut off what pydantic adds below a setting, such as an item's index."""
    while len(path) > 1 and path[:-1] in FIELDS:
        path = path[:-1]
    return path


def unknown_key(path: Path) -> str:
    """Say that nothing has this name, and what may have been meant."""
    model: type[BaseModel] = table_at(path[:-1]) or Settings
    meant = nearest(path[-1], (name for name in model.model_fields if name != "options"))
    return "unknown key" + (f"; did you mean '{meant}'?" if meant else "")
