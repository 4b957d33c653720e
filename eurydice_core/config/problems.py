"""Validation errors as lines that people can act on, secrets left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from eurydice_core.config.schema import FIELDS, is_secret, nearest, quantity, table_at, variable
from eurydice_core.config.settings import Settings
from eurydice_core.config.values import written

__all__ = ["problems_of", "title"]

BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}

Path = tuple[str, ...]


def problems_of(error: ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    """Yield one line a problem: what, where, why."""
    for details in error.errors(include_url=False):
        path = known_part(tuple(str(part) for part in details["loc"]))
        if details["type"] == "missing":
            yield from map(missing, required_at(path))
            continue
        place = place_of(path, origins)
        reason = reason_of(details, path)
        yield f"{title(path)}{place}: {reason}" if path else reason


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


def place_of(path: Path, origins: Mapping[str, str]) -> str:
    """Return where the value, or the first one below it, was written."""
    key = ".".join(path)
    below = (origins[name] for name in origins if name.startswith(f"{key}."))
    origin = origins.get(key) or next(below, "")
    return f" in {origin.split(' ', 1)[1]}" if " " in origin else ""


def reason_of(details: ErrorDetails, path: Path) -> str:
    """Return what is wrong with the value."""
    kind = details["type"]
    if kind == "extra_forbidden":
        return unknown_key(path)
    if kind in BOUNDS:
        return out_of_bounds(details, path)
    if kind == "too_short" and is_secret(path):
        return too_short(details)
    if kind == "value_error":
        return str(details["ctx"]["error"])
    return details["msg"]


def too_short(details: ErrorDetails) -> str:
    """Say how long a secret must be, and how to make one."""
    wanted = details["ctx"]["min_length"]
    if wanted == 1:
        return "must not be empty"
    return (
        f"must have at least {wanted} characters, has {details['ctx']['actual_length']}"
        " ('eurydice init' makes good ones)"
    )


def out_of_bounds(details: ErrorDetails, path: Path) -> str:
    """Name the bound and the value, in the setting's own unit."""
    words, name = BOUNDS[details["type"]]
    bound, given = details["ctx"][name], details["input"]
    shown = given if isinstance(given, str) else written(given, quantity(path))
    return f"must be {words} {written(bound, quantity(path))}, is {shown}"


def unknown_key(path: Path) -> str:
    """Say that nothing has this name, and what may have been meant."""
    model: type[BaseModel] = table_at(path[:-1]) or Settings
    meant = nearest(path[-1], (name for name in model.model_fields if name != "options"))
    return "unknown key" + (f"; did you mean '{meant}'?" if meant else "")
