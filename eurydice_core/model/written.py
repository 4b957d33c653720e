"""Values as somebody would write them into the file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

__all__ = ["MASK", "written"]

MASK = "***"
SIZES = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
DURATIONS = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0}


def written(value: Any, unit: str | None = None) -> str:
    """Return a value in the largest unit that it is a whole number of; secrets are masked."""
    if isinstance(value, SecretStr):
        return MASK
    if unit is not None and isinstance(value, int | float):
        units = SIZES if unit == "size" else DURATIONS
        return with_unit(value, units) if value > 0 else f"{value:g}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(quoted(item) for item in value) + "]"
    return "none" if value is None else quoted(value)


def with_unit(value: float, units: Mapping[str, float]) -> str:
    """Return a size or a duration; parts of a second in milliseconds."""
    for unit, factor in units.items():
        if value % factor == 0:
            return f"{value / factor:.0f}{unit}"
    return (
        f"{value:g}s" if units is DURATIONS and value >= 1 else milliseconds_or_bytes(value, units)
    )


def milliseconds_or_bytes(value: float, units: Mapping[str, float]) -> str:
    """Return a value that is too small or too odd for any unit."""
    return f"{value * 1000:g}ms" if units is DURATIONS else str(value)


def quoted(value: Any) -> str:
    """Return a text in quotes, and everything else bare."""
    plain = value.value if isinstance(value, Enum) else value
    if isinstance(plain, str | Path) or not isinstance(plain, int | float | dict):
        return f'"{plain}"'
    return str(plain)
