"""An object that arrives in pieces: one sparse file, every piece at its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import Assembly, AssemblyState, Buffer
from eurydice_storage_fs.direct import write_at
from eurydice_storage_fs.tree import Tree

__all__ = ["FileAssembly"]


class FileAssembly(Assembly):
    """Pieces of one key. Holds no file open, so that thousands can be under way."""

    def __init__(self, tree: Tree, key: str, state: AssemblyState | None) -> None:
        self._tree = tree
        self._key = key
        self._target = tree.object_path(key)
        self._staged = tree.assembly_path(key)
        self._name_is_durable = state is not None
        with tree.errors("assemble"):
            if state is None:
                self._staged.unlink(missing_ok=True)
            # A checkpoint leaves the file there, and only commit takes it away. Pieces put
            # again after that must not begin a second file, which would lack all the others.
            self._committed = state is not None and not self._staged.exists()

    def put(self, offset: int, data: Buffer) -> None:
        """Write a piece at its place."""
        if self._committed:
            return
        self._tree.require_room(memoryview(data).nbytes)
        with self._tree.errors("write"), self._open() as descriptor:
            write_at(descriptor, data, offset, self._tree.blocks)

    def checkpoint(self) -> AssemblyState:
        """Bring the pieces to the disk; the file itself is all the state there is."""
        if not self._committed:
            with self._tree.errors("write"), self._open() as descriptor:
                if self._tree.fsync:
                    os.fdatasync(descriptor)
                if not self._name_is_durable:
                    self._tree.sync(self._staged.parent)
                    self._name_is_durable = True
        return {"staged": True}

    def commit(self, size: int) -> None:
        """Give the file its final name."""
        if self._committed:
            return self._expect_committed(size)
        with self._tree.errors("write"):
            with self._open() as descriptor:
                self._finish(descriptor, size)
            self._tree.make_directory(self._target.parent)
            self._staged.replace(self._target)
            self._committed = True
            self._tree.sync(self._target.parent)
            self._tree.sync(self._staged.parent)
        return None

    def abort(self) -> None:
        """Remove the file."""
        with self._tree.errors("delete"):
            self._staged.unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[int]:
        descriptor = self._tree.access.open_descriptor(self._staged, os.O_WRONLY | os.O_CREAT)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _finish(self, descriptor: int, size: int) -> None:
        found = os.fstat(descriptor).st_size
        if found < size:
            raise StorageError(
                f"object {self._key!r} cannot be completed: it ends at byte {found} of {size}"
            )
        os.ftruncate(descriptor, size)
        if self._tree.fsync:
            os.fsync(descriptor)

    def _expect_committed(self, size: int) -> None:
        with self._tree.errors("read"):
            try:
                found = self._target.stat().st_size
            except FileNotFoundError:
                raise ObjectMissing(self._key) from None
        if found != size:
            raise StorageError(f"object {self._key!r} has {found} bytes and should have {size}")
