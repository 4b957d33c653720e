"""An exclusive lock on a file beside a SQLite database, held by one process of the machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.private_files import PRIVATE

__all__ = ["file_lock"]

POLL_SECONDS: Final = 0.02


@contextmanager
def file_lock(
    path: str, *, seconds: float, busy: str, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold an exclusive flock(2), which the kernel releases when the process ends.

    Args:
        path: the file, created if it is missing.
        seconds: the longest wait. flock(2) has no timeout, so this polls.
        busy: what the error says after that.
        on_wait: called once if the lock is held by another process or thread.

    Raises:
        DatabaseUnavailable: the lock is held for too long, or the file cannot be used.
    """
    try:
        descriptor = PRIVATE.open_descriptor(path, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise DatabaseUnavailable(
            f"cannot lock {path}: {error.strerror}; {advice(error, WRITE_ACCESS)}"
        ) from error
    try:
        deadline = time.monotonic() + seconds
        is_first = True
        while not _try_lock(descriptor):
            if is_first and on_wait is not None:
                on_wait()
            is_first = False
            if time.monotonic() >= deadline:
                raise DatabaseUnavailable(busy)
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
