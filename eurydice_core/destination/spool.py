"""Packets waiting on disk: in order, bounded, still there after a crash."""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from loguru import logger

from eurydice_core.errors import ServiceError
from eurydice_core.model.buffer import Buffer
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.private_files import PRIVATE

__all__ = ["Spool", "spool_alone", "write_private"]

SUFFIX: Final = ".packet"
PARTIAL: Final = ".partial"
READ_TRIES: Final = 3
"""Files tried in a row before the disk counts as failing, and not one of its files."""


@contextmanager
def spool_alone(directory: Path) -> Iterator[None]:
    """Keep a spool to one process: a second receiver would take its packets away.

    Raises:
        ServiceError: another one has it, or the directory cannot be used.
    """
    try:
        PRIVATE.make_directory(directory)
        file = PRIVATE.open_file(directory / "lock", "wb")
    except OSError as error:
        raise _unusable(directory, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(
                f"another receiver uses the spool {directory};"
                " give each receiver a state_dir of its own"
            ) from None
        yield


class Spool:
    """A queue of packets, a file each, in a directory of its own.

    Files survive the process, not a power cut: waiting for the disk would cost the very
    packets the spool is there to save. A file gets its name once it is whole.

    One thread puts packets in, another one takes them out.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        """Take up what an earlier process left.

        Raises:
            ServiceError: the directory cannot be used.
        """
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        try:
            PRIVATE.make_directory(directory)
            for half in directory.glob(f"*{PARTIAL}"):
                half.unlink(missing_ok=True)
            left = sorted(path for path in directory.glob(f"*{SUFFIX}") if path.stem.isdecimal())
            sizes = [path.stat().st_size for path in left]
        except OSError as error:
            raise _unusable(directory, error) from error
        self._waiting: deque[tuple[Path, int]] = deque(zip(left, sizes, strict=True))
        self._size = sum(sizes)
        self._number = int(left[-1].stem) + 1 if left else 0
        self._out: tuple[Path, int] | None = None
        self._ingested: set[Path] = set()
        """Files of ingested packets that could not be deleted yet."""
        if left:
            logger.info("{} packets wait in the spool {}", len(left), directory)

    def __len__(self) -> int:
        """Return how many packets wait."""
        return len(self._waiting)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    def put(self, packet: Buffer) -> bool:
        """Append a packet; return False if there is no room for it, and keep what is there.

        Raises:
            OSError: the file cannot be written; nothing of it stays. The error names the
                directory, so that each try of an outage has the same reason.
        """
        with self._lock:
            if self._size + len(packet) > self._limit:
                return False
            path = self._directory / f"{self._number:012d}{SUFFIX}"
            self._number += 1
        partial = path.with_suffix(PARTIAL)
        try:
            write_private(partial, packet)
            partial.rename(path)
        except BaseException as error:
            with suppress(OSError):  # else it goes when the spool is opened again
                partial.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno is not None:
                raise OSError(error.errno, error.strerror, str(self._directory)) from error
            raise
        with self._lock:
            self._size += len(packet)
            self._waiting.append((path, len(packet)))
        return True

    def first(self) -> bytes | None:
        """Return the oldest packet that can be read, which stays; None if nothing waits.

        A file that cannot be read now goes to the end of the queue, so that one bad sector
        does not hold up the others.

        Raises:
            OSError: nothing can be read now.
        """
        failure: OSError | None = None
        for _ in range(min(len(self._waiting), READ_TRIES)):
            self._out = self._waiting[0]
            try:
                return self._out[0].read_bytes()
            except FileNotFoundError:
                logger.error("{} is gone from the spool: was it deleted?", self._out[0])
                self.drop_first()
            except OSError as error:
                failure, self._out = error, None
                with self._lock:
                    self._waiting.rotate(-1)
        if failure is not None:
            raise failure
        return None

    def put_off(self) -> None:
        """Move the packet that `first` returned to the end of the queue, until a restart."""
        if self._out is not None:
            with self._lock:
                self._waiting.remove(self._out)
                self._waiting.append(self._out)
            self._out = None

    def drop_first(self) -> None:
        """Delete the packet that `first` returned: it was ingested."""
        if self._out is None:
            return
        with self._lock:
            self._waiting.remove(self._out)
            self._size -= self._out[1]
        self._ingested.add(self._out[0])
        self._out = None
        for path in list(self._ingested):
            with suppress(OSError):  # tried again with the next packet; ingesting twice is harmless
                path.unlink(missing_ok=True)
                self._ingested.discard(path)


def write_private(path: Path, data: Buffer, *, durable: bool = False) -> None:
    """Write a file that only this user can read."""
    with PRIVATE.open_file(path, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) or 0 :]
        if durable:
            os.fsync(file.fileno())


def _unusable(directory: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"the spool {directory} cannot be used ({error.strerror}); {advice(error, WRITE_ACCESS)}"
    )
