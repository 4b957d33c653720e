"""Large files go past the page cache: `O_DIRECT`, where the file system has it.

What passes through here is written once and read once, so a copy in the cache helps nobody,
pushes out what others need, and costs more than the transfer itself on machines that must
ask a host for every page. The kernel takes such bytes only in whole blocks, at whole
blocks, from memory that begins at one; the rest goes the usual way.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eurydice_core.interfaces.storage import Buffer

__all__ = ["ALIGNMENT", "BLOCK", "Blocks", "read_direct", "write_all", "write_at"]

ALIGNMENT = 4096
BLOCK = 2**20
"""Bytes in one call: enough for a disk to be as fast as it can."""
SPARE = 8
UNSUPPORTED = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}


class Blocks:
    """Memory that a disk can read and write itself; what is given back is lent again."""

    def __init__(self, size: int = BLOCK) -> None:
        self.size = size
        self.works = True
        """Whether this file system has direct transfers, as far as is known."""
        self._spare: list[mmap.mmap] = []
        self._lock = threading.Lock()

    def take(self) -> mmap.mmap:
        """Lend a block; what it holds is what its last user left."""
        with self._lock:
            if self._spare:
                return self._spare.pop()
        return mmap.mmap(-1, self.size)

    def give_back(self, block: mmap.mmap) -> None:
        """Take a block back."""
        with self._lock:
            if len(self._spare) < SPARE:
                self._spare.append(block)

    @contextmanager
    def lent(self) -> Iterator[mmap.mmap]:
        """Lend a block for as long as the `with` lasts."""
        block = self.take()
        try:
            yield block
        finally:
            self.give_back(block)

    def try_out(self, directory: Path) -> None:
        """Find out whether the file system of a directory can do it."""
        if not self.works:
            return
        try:
            with tempfile.TemporaryFile(dir=directory) as file, self.lent() as block:
                set_direct(file.fileno(), on=True)
                with memoryview(block) as view:
                    os.pwrite(file.fileno(), view[:ALIGNMENT], 0)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            self.works = False

    def switch_on(self, descriptor: int) -> bool:
        """Have a file written or read directly; return False where that does not work."""
        if self.works:
            set_direct(descriptor, on=True)
        return self.works


def set_direct(descriptor: int, *, on: bool) -> None:
    """Switch direct transfers of an open file on or off."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)


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


def write_at(descriptor: int, data: Buffer, offset: int, blocks: Blocks) -> None:
    """Write `data` at its place, as much of it directly as can be."""
    rest = memoryview(data).cast("B")
    if len(rest) >= blocks.size and offset % ALIGNMENT == 0 and blocks.switch_on(descriptor):
        with blocks.lent() as block, memoryview(block) as view:
            while whole := min(len(rest), blocks.size) // ALIGNMENT * ALIGNMENT:
                view[:whole] = rest[:whole]
                write_all(descriptor, view[:whole], offset)
                rest, offset = rest[whole:], offset + whole
        set_direct(descriptor, on=False)
    write_all(descriptor, rest, offset)


def read_direct(descriptor: int, start: int, stop: int, blocks: Blocks) -> Iterator[bytes]:
    """Yield the bytes of a file that was switched on, from a whole block to `stop` or its end."""
    with blocks.lent() as block:
        while start < stop:
            found = os.preadv(descriptor, [block], start)
            wanted = min(found, stop - start)
            if wanted:
                yield block[:wanted]
            start += wanted
            if found < blocks.size:
                return
