"""Reads the settings once, from everywhere they may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from eurydice_core.config.environment import read_environment
from eurydice_core.config.file import find_file, read_file
from eurydice_core.config.layer import Layer
from eurydice_core.config.legacy import read_legacy
from eurydice_core.config.problems import problems_of
from eurydice_core.config.schema import FIELDS
from eurydice_core.config.settings import Settings
from eurydice_core.errors import ConfigurationError

__all__ = ["Loaded", "find_settings", "load_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted key -> `file PATH`, `environment NAME` or `default`."""
    file: Path | None
    """The configuration file that was read."""
    notes: Sequence[str] = ()
    """Warnings for the operator: variables that have no effect, and why."""


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the settings: environment over legacy names over the file over defaults.

    Args:
        path: the file to read; None to look for one.
        environ: the environment, usually `os.environ`.

    Raises:
        ConfigurationError: one line for every problem.
    """
    found = find_settings(path, environ)
    if found is None:
        raise ConfigurationError(
            "there is no configuration: make one with 'eurydice init origin' or 'eurydice init"
            " destination', or name its file with --config or EURYDICE_CONFIG"
        )
    return found


def find_settings(path: Path | None, environ: Mapping[str, str]) -> Loaded | None:
    """Read the settings, or return None if nobody ever set one.

    A legacy name alone is no sign: other programs have a `LOG_LEVEL` too. The secret of
    the association is, which that system could not run without.

    Raises:
        ConfigurationError: one line for every problem.
    """
    file = find_file(path, environ)
    written = read_file(file) if file else Layer({}, {})
    environment = read_environment(environ)
    legacy = read_legacy(environ, [environment.values, written.values])
    if not (file or environment.values or environment.problems or "link" in legacy.values):
        return None
    settings, origins = validated((environment, legacy, written))
    notes = [*environment.notes, *legacy.notes]
    return Loaded(settings=settings, origins=origins, file=file, notes=notes)


def validated(layers: Sequence[Layer]) -> tuple[Settings, dict[str, str]]:
    """Merge the layers, the first one strongest, and check the whole."""
    origins = {key: place for layer in reversed(layers) for key, place in layer.origins.items()}
    problems = [problem for layer in layers for problem in layer.problems]
    try:
        settings = Settings(_build_sources=(tuple(layers), {}))
    except ValidationError as error:
        problems.extend(problems_of(error, origins))
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))
    return settings, dict(with_defaults(origins))


def with_defaults(origins: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Add the settings that nobody set."""
    for path in FIELDS:
        yield ".".join(path), origins.get(".".join(path), "default")
    yield from origins.items()
