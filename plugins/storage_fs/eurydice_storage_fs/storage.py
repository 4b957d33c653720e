"""The storage: objects are files."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    HasFreeSpace,
    HasLocalPath,
    ObjectWriter,
    Storage,
    checked_key,
)
from eurydice_storage_fs.assembly import FileAssembly
from eurydice_storage_fs.atomic import AtomicFile
from eurydice_storage_fs.tree import Tree

__all__ = ["FileStorage"]

CHUNK = 2**20
PROBE = b"eurydice"


class FileStorage(Storage, HasFreeSpace, HasLocalPath):
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
        try:
            position = start
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
        directories: set[Path] = set()
        with self._tree.errors("delete"):
            for path in map(self._path, keys):
                try:
                    path.unlink()
                except FileNotFoundError:
                    continue
                directories.add(path.parent)
            for directory in directories:
                self._tree.sync(directory)

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object in pieces; a file takes pieces of any size."""
        return FileAssembly(self._tree, checked_key(key), state)

    def check(self) -> None:
        """Write, read and delete a small file of no key."""
        probe = self._tree.objects / f".check-{secrets.token_hex(8)}"
        file = AtomicFile(self._tree)
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
        """Return what is left of the disk for whom we are."""
        with self._tree.errors("read"):
            return shutil.disk_usage(self._tree.root).free

    def local_path(self, key: str) -> Path:
        """Return where the object's file is."""
        self.size(key)
        return self._path(key)

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
