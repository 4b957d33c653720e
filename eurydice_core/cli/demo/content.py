"""What the demo carries: the user's files, or one made up for it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blake3 import blake3

from eurydice_core.errors import ConfigurationError
from eurydice_core.model.quantities import format_size
from eurydice_core.private_files import PRIVATE

__all__ = ["File", "check_room", "given_files", "make_file"]

CHUNK: Final = 2**20  # bytes
ROOM: Final = 3
"""Times the size: the file itself, or its copy on the way out of the storage, and each side's."""
SPARE: Final = 64 * 2**20  # bytes for databases and logs
UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class File:
    """A file to carry."""

    path: Path
    size: int

    @property
    def name(self) -> str:
        """Its name, as far as an HTTP header can tell it."""
        text = self.path.name.encode("utf-8", "replace").decode()
        return UNSPEAKABLE.sub("_", text).strip()

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes.

        Raises:
            ConfigurationError: it cannot be read.
        """
        try:
            with self.path.open("rb", buffering=0) as source:
                while chunk := source.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise ConfigurationError(f"cannot read {self.path}: {error.strerror}") from error


def given_files(paths: Sequence[Path]) -> list[File]:
    """Return the files of these names.

    Raises:
        ConfigurationError: one is not there, is no file, or is not ours to read.
    """
    files = []
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"there is no file {path}")
        if not path.is_file():
            raise ConfigurationError(f"{path} is no regular file")
        if not os.access(path, os.R_OK):
            raise ConfigurationError(f"cannot read {path}: Permission denied")
        files.append(File(path, path.stat().st_size))
    return files


def make_file(path: Path, size: int, on_bytes: Callable[[int], None]) -> File:
    """Write a file that nothing could compress or guess, as fast as the disk takes it.

    Raises:
        ConfigurationError: it cannot be written.
    """
    stream = blake3(secrets.token_bytes(32))
    try:
        with PRIVATE.open_file(path, "wb", buffering=0) as target:
            for start in range(0, size, CHUNK):
                target.write(stream.digest(min(CHUNK, size - start), seek=start))
                on_bytes(min(CHUNK, size - start))
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
    return File(path, size)


def check_room(place: Path, size: int) -> None:
    """Return if the disk has room for both sides.

    Raises:
        ConfigurationError: it has not.
    """
    needed, free = ROOM * size + SPARE, shutil.disk_usage(place).free
    if free < needed:
        raise ConfigurationError(
            f"the demo of {format_size(size)} needs about {format_size(needed)} of room, and"
            f" {place} has {format_size(free)}: choose another place with --dir, or carry less"
        )
