"""Sizes, durations and rates as people write them: `32MiB`, `500MB`, `15min`, `30/second`.

`MB` is 10^6 bytes and `MiB` is 2^20, as the IEC has it (IEC 80000-13). A bare number
is bytes, or seconds.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, get_args

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

__all__ = [
    "SHORT",
    "Rate",
    "RateLimit",
    "Seconds",
    "Size",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_rate",
    "parse_size",
    "unit_of",
]

SIZE_UNITS = {
    "": 1,
    "b": 1,
    "byte": 1,
    "bytes": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
DURATION_UNITS = {
    "ms": 0.001,
    "millisecond": 0.001,
    "": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "w": 604800.0,
    "week": 604800.0,
}
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 60
"""Shows a value in a message, cut if it is long."""
# No more digits than any sane quantity has, so that no number overflows.
QUANTITY = re.compile(r"\s*(\d{1,20}(?:\.\d{1,20})?)\s*([a-zA-Z]*)\s*")
RATE = re.compile(r"\s*(\d{1,6})\s*/\s*([a-zA-Z]+)\s*")
RATE_UNITS = {"second": ("s", "sec"), "minute": ("m", "min"), "hour": ("h",), "day": ("d",)}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a period."""

    count: int
    seconds: int

    def __str__(self) -> str:
        """Return it as people write it."""
        unit = next(unit for unit in RATE_UNITS if DURATION_UNITS[unit] == self.seconds)
        return f"{self.count}/{unit}"


def parse_size(value: object) -> int:
    """Return a number of bytes.

    Raises:
        ValueError: it is no size; pydantic turns this into its own error.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = QUANTITY.fullmatch(str(value))
    factor = SIZE_UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(
            f"{SHORT.repr(value)} is not a size: write a number with a unit, such as 32MiB"
        )
    return round(float(match[1]) * factor)


def parse_duration(value: object) -> float:
    """Return a number of seconds.

    Raises:
        ValueError: it is no duration; pydantic turns this into its own error.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = QUANTITY.fullmatch(str(value))
    unit = match[2].lower() if match else ""
    factor = DURATION_UNITS.get(unit, DURATION_UNITS.get(unit.removesuffix("s")))
    if match is None or factor is None:
        raise ValueError(
            f"{SHORT.repr(value)} is not a duration: write a number with a unit, such as 15min"
        )
    return float(match[1]) * factor


def parse_rate(value: object) -> object:
    """Return a rate; what is none stays as it is.

    Raises:
        ValueError: it is no rate; pydantic turns this into its own error.
    """
    if value is None or isinstance(value, Rate):
        return value
    match = RATE.fullmatch(str(value))
    word = match[2].lower() if match else ""
    units = (unit for unit, short in RATE_UNITS.items() if word in (unit, *short))
    unit = next(units, None)
    if match is None or unit is None or int(match[1]) < 1:
        raise ValueError(
            f"{SHORT.repr(value)} is not a rate: write one such as 30/second or 1000/hour"
        )
    return Rate(int(match[1]), round(DURATION_UNITS[unit]))


def unit_of(field: FieldInfo) -> str | None:
    """Return `size` or `duration` for a field that is one, or is one where it is not None."""
    members = [
        part.__metadata__ for part in get_args(field.annotation) if hasattr(part, "__metadata__")
    ]
    marks = [getattr(mark, "func", None) for mark in chain(field.metadata, *members)]
    if parse_size in marks:
        return "size"
    return "duration" if parse_duration in marks else None


def format_size(size: float) -> str:
    """Return a size for people, in binary units: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def format_duration(seconds: float) -> str:
    """Return a duration for people: `850 ms`, `12.3 s`, `2 h 05 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


Size = Annotated[int, BeforeValidator(parse_size)]
"""A settings field in bytes, written as `32MiB` or `500MB`."""

Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A settings field in seconds, written as `15min` or `200ms`."""

RateLimit = Annotated[Rate | None, BeforeValidator(parse_rate)]
"""A settings field of at most so many in a period, written as `30/second`."""
