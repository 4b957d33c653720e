"""Packets waiting on disk: in order, bounded, still there after a crash."""

from __future__ import annotations

import fcntl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loguru import logger

from eurydice_core.errors import ServiceError
from eurydice_core.model.buffer import Buffer
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.private_files import PRIVATE

__all__ = ["Spool", "spool_alone"]

SUFFIX: Final = ".packet"


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
    packets the spool is there to save. One that was written half is refused by its seal.
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
            left = sorted(directory.glob(f"*{SUFFIX}"))
            sizes = [path.stat().st_size for path in left]
        except OSError as error:
            raise _unusable(directory, error) from error
        self._waiting: deque[tuple[Path, int]] = deque(zip(left, sizes, strict=True))
        self._size = sum(sizes)
        self._number = int(left[-1].stem) + 1 if left else 0
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
        """Append a packet; return False if there is no room for it, and keep what is there."""
        with self._lock:
            if self._size + len(packet) > self._limit:
                return False
            path = self._directory / f"{self._number:012d}{SUFFIX}"
            try:
                with PRIVATE.open_file(path, "wb") as file:
                    file.write(packet)
            except OSError as error:
                logger.error("the spool cannot write {}: {}", path, error.strerror)
                path.unlink(missing_ok=True)
                return False
            self._number += 1
            self._size += len(packet)
            self._waiting.append((path, len(packet)))
            return True

    def first(self) -> bytes | None:
        """Return the oldest packet, which stays; None if nothing waits."""
        while self._waiting:
            try:
                return self._waiting[0][0].read_bytes()
            except OSError as error:
                logger.error("the spool cannot read {}: {}", self._waiting[0][0], error.strerror)
                self.drop_first()
        return None

    def drop_first(self) -> None:
        """Forget the oldest packet: it was taken in."""
        with self._lock:
            path, size = self._waiting.popleft()
            self._size -= size
        path.unlink(missing_ok=True)


def _unusable(directory: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"the spool {directory} cannot be used ({error.strerror}); {advice(error, WRITE_ACCESS)}"
    )
