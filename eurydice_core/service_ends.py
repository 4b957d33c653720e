"""Unexpected ends of this machine's services, kept in `state_dir` for `/readyz`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eurydice_core.private_files import PRIVATE

__all__ = ["ServiceEnd", "read_ends", "record_end"]

MOST_ENDS: Final = 20
LONGEST_REASON: Final = 500  # characters


@dataclass(frozen=True, slots=True)
class ServiceEnd:
    """When and why a process ended."""

    at: datetime
    reason: str


def record_end(state_dir: Path, service: str, reason: str) -> None:
    """Add an end to those of a service; a disk that cannot be written is no error."""
    ends = [*_read(_path(state_dir, service)), ServiceEnd(datetime.now(UTC), reason)]
    content = [
        {"at": end.at.isoformat(), "reason": end.reason[:LONGEST_REASON]}
        for end in ends[-MOST_ENDS:]
    ]
    path = _path(state_dir, service)
    partial = path.with_suffix(".partial")
    with suppress(OSError):
        PRIVATE.make_directory(path.parent)
        with PRIVATE.open_file(partial, "w") as file:
            json.dump(content, file)
        partial.replace(path)


def read_ends(state_dir: Path) -> Mapping[str, Sequence[ServiceEnd]]:
    """Return the latest ends of each service, the oldest first."""
    with suppress(OSError):
        return {path.stem: _read(path) for path in sorted(_directory(state_dir).glob("*.json"))}
    return {}


def _directory(state_dir: Path) -> Path:
    return state_dir / "ends"


def _path(state_dir: Path, service: str) -> Path:
    return _directory(state_dir) / f"{service}.json"


def _read(path: Path) -> list[ServiceEnd]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [
            ServiceEnd(datetime.fromisoformat(end["at"]), str(end["reason"]))
            for end in json.loads(path.read_bytes())
        ]
    return []
