"""A file that appears whole, or not at all."""

from __future__ import annotations

import os
import secrets
from mmap import mmap
from pathlib import Path

from eurydice_core.interfaces.storage import Buffer
from eurydice_storage_fs.direct import ALIGNMENT, set_direct, write_all
from eurydice_storage_fs.tree import UNNAMED_DIRECTORY, Tree

__all__ = ["AtomicFile"]

CHECK_EVERY = 2**20
"""Bytes between looks at the free space."""
SLOW = 8
"""Whoever begins with less than this part of a block is slow, or has no more."""


class AtomicFile:
    """Takes bytes, and gets its name only when it is published."""

    def __init__(self, tree: Tree, *, respects_floor: bool = True) -> None:
        self._tree = tree
        self._temporary: Path | None = None
        self._respects_floor = respects_floor
        self._unchecked = 0
        self._block: mmap | None = None
        """Gathers small writes, which cost more than they carry."""
        self._filled = 0
        self._is_direct = False
        self._is_slow = False
        place, flags = tree.writes, os.O_WRONLY | os.O_TMPFILE
        if not tree.unnamed_files:
            place = self._temporary = _new_name(tree)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with tree.errors("write"):
            self._descriptor = tree.access.open_descriptor(place, flags)

    def write(self, data: Buffer) -> None:
        """Append all of `data`."""
        rest = memoryview(data).cast("B")
        if self._respects_floor:
            self._look(len(rest))
        if self._block is None:
            if self._is_slow or len(rest) < self._tree.blocks.size // SLOW:
                # Hundreds of slow writers at once would have hundreds of blocks filling up.
                self._is_slow = True
                with self._tree.errors("write"):
                    write_all(self._descriptor, rest)
                return
            self._block = self._tree.blocks.take()
        while rest:
            count = min(len(rest), len(self._block) - self._filled)
            self._block[self._filled : self._filled + count] = rest[:count]
            self._filled += count
            rest = rest[count:]
            if self._filled == len(self._block):
                with self._tree.errors("write"):
                    self._flush()

    def _flush(self) -> None:
        """Write what was gathered: whole blocks directly, what is left at the end as usual."""
        if self._block is None:
            return
        with memoryview(self._block) as view:
            if self._filled == len(view) and not self._is_direct:
                self._is_direct = self._tree.blocks.switch_on(self._descriptor)
            whole = self._filled // ALIGNMENT * ALIGNMENT if self._is_direct else 0
            write_all(self._descriptor, view[:whole])
            if whole < self._filled:
                if self._is_direct:
                    set_direct(self._descriptor, on=False)
                    self._is_direct = False
                write_all(self._descriptor, view[whole : self._filled])
        self._filled = 0

    def _look(self, size: int) -> None:
        """Look for room, at most once a MiB."""
        self._unchecked -= size
        if self._unchecked < 0:
            self._tree.require_room(size)
            self._unchecked = CHECK_EVERY

    def publish(self, target: Path) -> None:
        """Appear under a name, durably, in place of what may have it now."""
        with self._tree.errors("write"):
            self._flush()
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
        if self._block is not None:
            self._tree.blocks.give_back(self._block)
            self._block = None
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


def _new_name(tree: Tree) -> Path:
    return tree.writes / f"{os.getpid()}-{secrets.token_hex(8)}"
