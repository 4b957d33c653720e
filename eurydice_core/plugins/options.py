"""A plugin's own keys of the configuration, checked by the plugin's own model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from eurydice_core.errors import ConfigurationError
from eurydice_core.model.expectations import expected, field_at, place_of, reason

__all__ = ["validate_options"]

LISTS = (list, tuple, set, frozenset)


def validate_options(
    model: type[BaseModel],
    options: Mapping[str, Any],
    *,
    plugin: str,
    table: str,
    origins: Mapping[str, str],
) -> BaseModel:
    """Return a plugin's settings.

    A secret `x` may be given as `x_file`, the path of a file that holds it, and a list
    as one text with commas, which is how the environment spells it.

    Raises:
        ConfigurationError: one line for every key that is missing, unknown or wrong.
    """
    read = {key: split(model, key, value) for key, value in options.items()}
    for key in secret_files(model, read):
        place = f"[{table}] {key}_file{place_of(f'{table}.{key}_file', origins)}"
        if key in read:
            raise ConfigurationError(f"{place}: {key} is given as well; leave one of them out")
        read[key] = content(Path(str(read.pop(f"{key}_file"))), place)
    try:
        return model.model_validate(read)
    except ValidationError as error:
        details = error.errors(include_url=False)
        lines = [line(model, each, plugin, table, origins) for each in details]
        # Not chained: pydantic's own text shows values, and one may be a secret.
        raise ConfigurationError("\n".join(dict.fromkeys(lines))) from None


def split(model: type[BaseModel], key: str, value: Any) -> Any:
    """Cut a text at its commas where a list is wanted."""
    field = model.model_fields.get(key)
    if not isinstance(value, str) or field is None:
        return value
    kinds = {get_origin(kind) or kind for kind in alternatives(field.annotation)}
    if str in kinds or not kinds.intersection(LISTS):
        return value
    return [item.strip() for item in value.split(",") if item.strip()]


def secret_files(model: type[BaseModel], options: Mapping[str, Any]) -> list[str]:
    """Return the secrets that are given as a file."""
    return [
        key
        for key, field in model.model_fields.items()
        if SecretStr in alternatives(field.annotation)
        and f"{key}_file" in options
        and f"{key}_file" not in model.model_fields
    ]


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the one type there is."""
    return (
        (annotation,) if get_origin(annotation) in LISTS else get_args(annotation) or (annotation,)
    )


def content(path: Path, place: str) -> str:
    """Return the secret that a file holds."""
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "not a text"
        raise ConfigurationError(f"{place}: cannot read {path}: {cause}") from error


def line(
    model: type[BaseModel],
    details: ErrorDetails,
    plugin: str,
    table: str,
    origins: Mapping[str, str],
) -> str:
    """Return what is wrong with one key, and where it was written."""
    location = details["loc"]
    depth, field = field_at(model, location)
    key = ".".join(str(part) for part in location[:depth])
    name = f"[{table}] {key}" if key else f"[{table}]"
    if details["type"] == "missing":
        variable = f"EURYDICE_{table}.{key}".replace(".", "__").upper()
        wanted = f"set it to {expected(field)}" if field else "set it"
        return f"{name} is missing, which {plugin} needs: {wanted}, in the file or as {variable}"
    name += place_of(f"{table}.{key}" if key else table, origins)
    if details["type"] == "extra_forbidden":
        meant = difflib.get_close_matches(key, model.model_fields, n=1)
        return f"{name}: unknown key for {plugin}" + (
            f"; did you mean '{meant[0]}'?" if meant else ""
        )
    return f"{name}: {reason(details, field, is_item=depth < len(location))}"
