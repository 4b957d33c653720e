"""One place that settings come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from eurydice_core.config.schema import SECRETS
from eurydice_core.config.settings import Settings

__all__ = ["Layer", "leaves", "put"]

UNREAD = "a secret that could not be read yet"
"""Stands for one, so that it is not reported as missing as well; never gets out of here."""


class Layer(PydanticBaseSettingsSource):
    """Values of one source, nested as the settings are, and where each came from."""

    def __init__(
        self,
        values: dict[str, Any],
        origins: dict[str, str],
        problems: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(Settings)
        self.values = values
        self.origins = origins
        """Dotted key of each value -> what to tell people about its place."""
        self.problems = [*problems, *self._read_secret_files()]
        self.notes = notes
        """Warnings for the operator, one line each: the settings are valid nevertheless."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one top-level value, as pydantic-settings asks of a source."""
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values, as pydantic-settings asks of a source."""
        return self.values

    def _read_secret_files(self) -> Iterator[str]:
        """Put the content of each `<secret>_file` in its secret's place; yield what went wrong."""
        for *above, name in SECRETS:
            table = self.values.get(above[0]) if above else self.values
            if not isinstance(table, dict) or f"{name}_file" not in table:
                continue
            key = ".".join((*above, name))
            file = Path(str(table.pop(f"{name}_file")))
            place = self.origins.pop(f"{key}_file", "")
            if name in table:
                yield f"{key} is given twice, as itself and as {name}_file: leave one out"
                continue
            try:
                table[name] = file.read_text().strip()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "not a text"
                yield f"{key}_file ({place}): cannot read {file}: {reason}"
                table[name] = UNREAD
            self.origins[key] = f"file {file}"


def put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a nested value, making the tables on the way."""
    for key in path[:-1]:
        if not isinstance(values.get(key), dict):
            values[key] = {}
        values = values[key]
    values[path[-1]] = value


def leaves(
    values: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value that is not a table, or is an empty one, with its path."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value
