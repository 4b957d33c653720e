"""The directories: where an object has its place, and how a change to them is made durable."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from loguru import logger

from eurydice_core.errors import StorageFull
from eurydice_core.model.quantities import format_size
from eurydice_core.private_files import PRIVATE, Access
from eurydice_storage_fs.direct import Blocks
from eurydice_storage_fs.errors import disk_errors

__all__ = ["Tree", "key_of"]

UNNAMED_DIRECTORY = "/proc/self/fd"


class Tree:
    """Objects by name in 256 directories, and beside them what is not an object yet."""

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool,
        min_free: int = 0,
        blocks: Blocks | None = None,
        access: Access = PRIVATE,
    ) -> None:
        self.root = root
        self.objects = root / "objects"
        self.writes = root / "staging" / "writes"
        """What `write` has under way, on file systems without unnamed files."""
        self.assemblies = root / "staging" / "assemblies"
        """Objects that still miss pieces; they may wait for weeks."""
        self.fsync = fsync
        self.min_free = min_free
        """Bytes that stay free for others: the database must be able to note what is deleted."""
        self.blocks = blocks or Blocks()
        """For what goes past the page cache."""
        self.access = access
        """Modes of new files and directories."""
        self.unnamed_files = False
        """Whether files without a name work here; a crash leaves nothing of those."""

    def prepare(self) -> None:
        """Make what is missing of the directories.

        Raises:
            StorageError: the place cannot be used.
        """
        with self.errors("write"):
            for directory in (self.objects, self.writes, self.assemblies):
                self.access.make_directory(directory)
                self.sync(directory)
            self.sync(self.root)
            self.sync(self.writes.parent)
            self.unnamed_files = _has_unnamed_files(self.writes)
            self.blocks.try_out(self.writes)

    def object_path(self, key: str) -> Path:
        """Return the place of an object; the key has been checked."""
        name = file_name(key)
        # Spread, so that no directory grows to millions of entries.
        spread = hashlib.blake2b(name.encode(), digest_size=1).hexdigest()
        return self.objects / spread / name

    def assembly_path(self, key: str) -> Path:
        """Return where the pieces of an object are put; the key has been checked."""
        return self.assemblies / file_name(key)

    def make_directory(self, directory: Path) -> None:
        """Make one directory, durably, if it is not there; never its parents.

        A parent that is missing means that a file system is not mounted, and whatever
        was written to the empty mount point would be hidden later.
        """
        if not directory.is_dir():
            self.access.make_directory(directory, parents=False)
            self.sync(directory.parent)

    def sync(self, directory: Path) -> None:
        """Make the names in a directory durable."""
        if not self.fsync:
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sweep(self, older_than_seconds: float) -> None:
        """Remove what crashed writes left, but nothing another process may be writing."""
        limit = time.time() - older_than_seconds
        swept = 0
        with self.errors("sweep"), os.scandir(self.writes) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < limit:
                        Path(entry.path).unlink()
                        swept += 1
        if swept:
            logger.info("removed {} leftovers of crashed writes from {}", swept, self.writes)

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Yield every file that is an object, or becomes one, a directory after the other."""
        with self.errors("read"), os.scandir(self.objects) as entries:
            directories = [Path(entry.path) for entry in entries if entry.is_dir()]
        for directory in (*directories, self.assemblies):
            with self.errors("read"), os.scandir(directory) as entries:
                names = list(entries)
            yield from names

    def free(self) -> int:
        """Return the bytes that are free for this user."""
        with self.errors("read"):
            found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def require_room(self, size: int) -> None:
        """Return if so many bytes more leave the floor free.

        Raises:
            StorageFull: they do not.
        """
        if self.min_free and (free := self.free()) < self.min_free + size:
            raise StorageFull(
                f"no room left below {self.root}: {format_size(free)} are free, and"
                f" {format_size(self.min_free)} stay so (min_free in [storage]): make room"
            )

    def errors(self, doing: str) -> AbstractContextManager[None]:
        """Translate the system's errors, saying what was being done."""
        return disk_errors(self.root, doing)


def file_name(key: str) -> str:
    """Return a key as one name: it has no dots, so no two keys become the same."""
    return key.replace("/", ".")


def key_of(name: str) -> str | None:
    """Return the key whose file has this name; None if it is no object's."""
    return None if name.startswith(".") else name.replace(".", "/")


def _has_unnamed_files(directory: Path) -> bool:
    """Tell whether this file system has O_TMPFILE, and /proc is there to name such a file."""
    try:
        descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        return Path(UNNAMED_DIRECTORY, str(descriptor)).exists()
    finally:
        os.close(descriptor)
