"""Which errors are outages: waited out and tried again, never a reason to end a service."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Final

from loguru import logger

from eurydice_core.errors import (
    ConfigurationError,
    DatabaseMisconfigured,
    DatabaseNotMigrated,
    DatabaseUnavailable,
    EurydiceError,
    IngestFailed,
    PluginError,
    ServiceError,
    StorageFull,
    StorageUnavailable,
    TransportError,
    WrongSideDatabase,
)

__all__ = [
    "OUTAGES",
    "OutageLog",
    "describe",
    "is_configuration",
    "is_outage",
    "is_outage_at_start",
]

OUTAGES: Final = (
    DatabaseUnavailable,
    IngestFailed,
    StorageFull,
    StorageUnavailable,
    TransportError,
)
"""Errors of ours that end by themselves or once an administrator acts."""

WRONG_SETTINGS: Final = (
    ConfigurationError,
    DatabaseMisconfigured,
    DatabaseNotMigrated,
    PluginError,
    WrongSideDatabase,
)

RESOURCES: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENODEV,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.EREMOTEIO,
        errno.EROFS,
        errno.ESTALE,
    }
)
"""A disk, a network or a limit of this machine: no fault of the settings."""
ACCESS: Final = frozenset({errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.EPERM})
"""Wrong settings when a service starts; a lost mount or changed permissions later."""
NO_THREAD: Final = "can't start new thread"
"""Message of the RuntimeError that Python raises where the kernel returns EAGAIN."""

FIRST_WAIT: Final = 0.2  # seconds
LONGEST_WAIT: Final = 10.0  # seconds
REPEAT_EVERY: Final = 60.0
"""Seconds after which an outage that lasts is logged again."""


def is_outage(error: BaseException) -> bool:
    """Return whether an error of a running service is an outage, and no bug."""
    return _is_outage(error, RESOURCES | ACCESS)


def is_outage_at_start(error: BaseException) -> bool:
    """Return whether an error of a starting service is an outage, and no wrong setting.

    What the database refuses because of its settings is an outage for a service that worked.
    """
    return not isinstance(error, DatabaseMisconfigured) and _is_outage(error, RESOURCES)


def is_configuration(error: BaseException) -> bool:
    """Return whether a service cannot start until its settings or its database are corrected."""
    if is_outage_at_start(error):
        return False
    # Of the others, those with a cause are about a port or a directory of the settings.
    return isinstance(error, WRONG_SETTINGS) or (
        isinstance(error, ServiceError) and isinstance(error.__cause__, OSError)
    )


def _is_outage(error: BaseException, numbers: frozenset[int]) -> bool:
    if isinstance(error, (*OUTAGES, MemoryError)):
        return True
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in numbers
    if isinstance(error, RuntimeError):
        return str(error) == NO_THREAD
    cause = error.__cause__
    return isinstance(error, EurydiceError) and cause is not None and _is_outage(cause, numbers)


def describe(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    if isinstance(error, EurydiceError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"{type(error).__name__}: {error}".splitlines()[0]


class OutageLog:
    """Logs an outage once, then every minute while it lasts, then its end; computes the back-off.

    For one thread.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._reported_at = 0.0
        self._next_wait = FIRST_WAIT
        self.reason: str | None = None
        """Why the work waits; None while it does not."""

    def report(self, reason: str) -> float:
        """Log an outage unless it was logged within a minute; return the seconds to wait."""
        now = self._monotonic()
        if reason != self.reason or now - self._reported_at > REPEAT_EVERY:
            logger.error("{}; waiting for it, nothing is lost", reason)
            self.reason, self._reported_at = reason, now
        wait = self._next_wait
        self._next_wait = min(wait * 2, LONGEST_WAIT)
        return wait

    def end(self) -> None:
        """Log that the work goes on, if there was an outage."""
        if self.reason is not None:
            logger.info("going on after: {}", self.reason)
        self.reason, self._next_wait = None, FIRST_WAIT
