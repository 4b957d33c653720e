"""The configuration file: where it is, and what it says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eurydice_core.config.layer import Layer, leaves
from eurydice_core.errors import ConfigurationError

__all__ = ["CONFIG_VARIABLE", "find_file", "read_file"]

CONFIG_VARIABLE = "EURYDICE_CONFIG"
SEARCHED = (Path("eurydice.toml"), Path("/etc/eurydice/eurydice.toml"))
UNCLOSED = (
    "Illegal character '\\n'",
    "Illegal character '\\r'",
    "Unterminated string",
    'Expected "\'"',
)
"""Messages of tomllib about a string without its closing quote."""
POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one named, else the first one that is there."""
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return named.absolute()
    return next((place.absolute() for place in SEARCHED if place.is_file()), None)


def read_file(path: Path) -> Layer:
    """Read a TOML file.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML; says where in the file.
    """
    values = parse(path)
    origins = {".".join(key): f"file {path}" for key, _ in leaves(values)}
    return Layer(values, origins)


def parse(path: Path) -> dict[str, Any]:
    """Return what the file says."""
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the configuration {path}: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        found = POSITION.search(str(error))
        line, column = (found[1], found[2]) if found and found[1] else end_of(text)
        reason = POSITION.sub("", str(error))
        if reason.startswith(UNCLOSED):
            reason = "a text is not closed: its quote is missing at the end"
        raise ConfigurationError(f"{path}:{line}:{column}: {reason}") from error


def end_of(text: str) -> tuple[int, int]:
    """Return line and column just behind a text."""
    lines = text.split("\n")
    return len(lines), len(lines[-1]) + 1
