"""The storage: objects are files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    HasFreeSpace,
    HasListing,
    HasLocalPath,
    ObjectWriter,
    Storage,
    checked_key,
)
from eurydice_storage_fs.assembly import FileAssembly
from eurydice_storage_fs.atomic import AtomicFile
from eurydice_storage_fs.direct import ALIGNMENT, read_direct
from eurydice_storage_fs.tree import Tree, key_of

__all__ = ["FileStorage"]

CHUNK = 2**20
PROBE = b"eurydice"


class FileStorage(Storage, HasFreeSpace, HasListing, HasLocalPath):
    """Objects as files of a tree of directories, which is prepared already."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    @contextmanager
    def write(self, key: str) -> Iterator[ObjectWriter]:
        """Yield a file that appears under the key at the end."""
        target = self._path(key)
        file = AtomicFile(self._tree)
        try:
            yield file
            file.publish(target)
        finally:
            file.close()

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the file's bytes; a file replaced meanwhile is read to its end as it was."""
        descriptor = self._open(key)
        blocks = self._tree.blocks
        try:
            position = start
            is_large = stop is not None and stop - start >= blocks.size
            if stop is not None and is_large and start % ALIGNMENT == 0:
                with self._tree.errors("read"):
                    if blocks.switch_on(descriptor):
                        yield from read_direct(descriptor, start, stop, blocks)
                        return
            while stop is None or position < stop:
                size = CHUNK if stop is None else min(CHUNK, stop - position)
                with self._tree.errors("read"):
                    chunk = os.pread(descriptor, size, position)
                if not chunk:
                    return
                position += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    def size(self, key: str) -> int:
        """Return the file's length."""
        path = self._path(key)
        with self._tree.errors("read"), self._found(key):
            return path.stat().st_size

    def delete(self, keys: Iterable[str]) -> None:
        """Remove the files, durably: what is deleted does not come back after a power cut."""
        self._remove(map(self._path, keys))

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object in pieces; a file takes pieces of any size."""
        return FileAssembly(self._tree, checked_key(key), state)

    def check(self) -> None:
        """Write, read and delete a small file of no key."""
        probe = self._tree.objects / f".check-{secrets.token_hex(8)}"
        # Also with no room above the floor: whoever deletes things has to be able to start.
        file = AtomicFile(self._tree, respects_floor=False)
        try:
            file.write(PROBE)
            file.publish(probe)
        finally:
            file.close()
        with self._tree.errors("read"):
            found = probe.read_bytes()
            probe.unlink()
        if found != PROBE:
            raise StorageError(f"what is written below {self._tree.root} is not what is read back")

    def free_space(self) -> int:
        """Return what is left of the disk for whom we are, down to the floor."""
        return max(0, self._tree.free() - self._tree.min_free)

    def list_keys(self, prefix: str = "", *, before: datetime | None = None) -> Iterator[str]:
        """Yield what the names of the files say, a directory after the other."""
        limit = None if before is None else before.timestamp()
        for entry in self._tree.files():
            key = key_of(entry.name)
            if key is not None and key.startswith(prefix):
                with self._tree.errors("read"), suppress(FileNotFoundError):
                    if limit is None or entry.stat(follow_symlinks=False).st_mtime < limit:
                        yield key

    def discard(self, keys: Iterable[str]) -> None:
        """Remove the objects' files, and those that still miss pieces."""
        for key in keys:
            self._remove([self._path(key), self._tree.assembly_path(key)])

    def local_path(self, key: str) -> Path:
        """Return where the object's file is."""
        self.size(key)
        return self._path(key)

    def _remove(self, paths: Iterable[Path]) -> None:
        directories: set[Path] = set()
        with self._tree.errors("delete"):
            for path in paths:
                with suppress(FileNotFoundError):
                    path.unlink()
                    directories.add(path.parent)
            for directory in directories:
                self._tree.sync(directory)

    def _path(self, key: str) -> Path:
        return self._tree.object_path(checked_key(key))

    def _open(self, key: str) -> int:
        path = self._path(key)
        with self._tree.errors("read"), self._found(key):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def _found(self, key: str) -> Iterator[None]:
        """Tell an object that is missing from a disk that is missing."""
        try:
            yield
        except FileNotFoundError:
            self._tree.objects.stat()
            raise ObjectMissing(key) from None
