"""A file that appears whole, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from eurydice_core.interfaces.storage import Buffer
from eurydice_storage_fs.tree import FILE_MODE, UNNAMED_DIRECTORY, Tree

__all__ = ["AtomicFile", "write_all"]

CHECK_EVERY = 2**20
"""Bytes between looks at the free space."""


class AtomicFile:
    """Takes bytes, and gets its name only when it is published."""

    def __init__(self, tree: Tree, *, respects_floor: bool = True) -> None:
        self._tree = tree
        self._temporary: Path | None = None
        self._respects_floor = respects_floor
        self._unchecked = 0
        flags = os.O_WRONLY | os.O_CLOEXEC
        with tree.errors("write"):
            if tree.unnamed_files:
                self._descriptor = os.open(tree.writes, flags | os.O_TMPFILE, FILE_MODE)
            else:
                self._temporary = _new_name(tree)
                flags |= os.O_CREAT | os.O_EXCL
                self._descriptor = os.open(self._temporary, flags, FILE_MODE)

    def write(self, data: Buffer) -> None:
        """Append all of `data`."""
        if self._respects_floor:
            self._look(memoryview(data).nbytes)
        with self._tree.errors("write"):
            write_all(self._descriptor, data)

    def _look(self, size: int) -> None:
        """Look for room, at most once a MiB."""
        self._unchecked -= size
        if self._unchecked < 0:
            self._tree.require_room(size)
            self._unchecked = CHECK_EVERY

    def publish(self, target: Path) -> None:
        """Appear under a name, durably, in place of what may have it now."""
        with self._tree.errors("write"):
            if self._tree.fsync:
                os.fsync(self._descriptor)
            self._tree.make_directory(target.parent)
            if self._temporary is None:
                self._link(target)
            else:
                self._temporary.replace(target)
                self._temporary = None
            self._tree.sync(target.parent)

    def close(self) -> None:
        """Free the file; unless it was published, nothing of it stays."""
        os.close(self._descriptor)
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def _link(self, target: Path) -> None:
        try:
            self._name(target)
        except FileExistsError:
            # A link never replaces, a rename does: by way of another name.
            self._temporary = _new_name(self._tree)
            self._name(self._temporary)
            self._temporary.replace(target)
            self._temporary = None

    def _name(self, path: Path) -> None:
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # With a directory descriptor Python follows the link in /proc to the file itself.
            source = f"{UNNAMED_DIRECTORY}/{self._descriptor}"
            os.link(source, path.name, dst_dir_fd=directory, follow_symlinks=True)
        finally:
            os.close(directory)


def write_all(descriptor: int, data: Buffer, offset: int | None = None) -> None:
    """Write all of `data`, in as few calls as the system takes; at `offset` if given."""
    rest = memoryview(data).cast("B")
    while rest:
        if offset is None:
            written = os.write(descriptor, rest)
        else:
            written = os.pwrite(descriptor, rest, offset)
            offset += written
        rest = rest[written:]


def _new_name(tree: Tree) -> Path:
    return tree.writes / f"{os.getpid()}-{secrets.token_hex(8)}"
