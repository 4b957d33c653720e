"""A thread that ends by an unexpected error ends its process, so that its supervisor restarts it.

Without this, the process would live on and do half of its work.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from loguru import logger

from eurydice_core.errors import ServiceError
from eurydice_core.outages import describe

__all__ = ["ThreadGuard", "guard_threads"]

GRACE_SECONDS: Final = 20.0
"""Seconds that the process may take to end; it may wait for the thread that ended."""


class ThreadGuard:
    """Ends this process when one of its threads ends by an error."""

    def __init__(
        self, end: Callable[[str], None], *, kill: Callable[[int], None] = os._exit
    ) -> None:
        self._end = end
        self._kill = kill
        self._watchdog: threading.Timer | None = None
        self.reason: str | None = None
        """Which thread ended first, and why."""

    def check(self) -> None:
        """Return if no thread ended by an error.

        Raises:
            ServiceError: one did.
        """
        if self.reason is not None:
            raise ServiceError(self.reason)

    def close(self) -> None:
        """Stop watching: the process is ending."""
        if self._watchdog is not None:
            self._watchdog.cancel()

    def note(self, event: threading.ExceptHookArgs) -> None:
        """Log the end of a thread and have the process end; a `threading.excepthook`."""
        error = event.exc_value
        if error is None or isinstance(error, SystemExit):
            return
        name = event.thread.name if event.thread else "unknown"
        reason = f"the thread {name!r} ended unexpectedly: {describe(error)}"
        logger.opt(exception=error).critical("{}", reason)
        if self.reason is not None:
            return
        self.reason = reason
        self._watchdog = threading.Timer(GRACE_SECONDS, self._kill, (1,))
        self._watchdog.daemon = True
        try:
            self._watchdog.start()
        except RuntimeError:  # no more threads
            self._kill(1)
        self._end(reason)


@contextmanager
def guard_threads(end: Callable[[str], None]) -> Iterator[ThreadGuard]:
    """Watch all threads of this process; `end` is called once, in the thread that ends.

    It has to return at once, and to make the process end within `GRACE_SECONDS`.
    """
    before, guard = threading.excepthook, ThreadGuard(end)
    threading.excepthook = guard.note
    try:
        yield guard
    finally:
        threading.excepthook = before
        guard.close()
