"""A daemon is a loop around `step()`, which a test can call; outages are waited out here."""

from __future__ import annotations

import gc
import threading
import time
from abc import ABC, abstractmethod

from loguru import logger

from eurydice_core.errors import (
    DatabaseUnavailable,
    EurydiceError,
    StorageFull,
    StorageUnavailable,
    TransactionConflict,
    TransportError,
)

__all__ = ["OUTAGES", "Service", "settle_down"]

OUTAGES = (DatabaseUnavailable, StorageFull, StorageUnavailable, TransportError)
"""What passes by itself, or once somebody acts: to be waited out, never died of."""

FIRST_WAIT = 0.2  # seconds
LONGEST_WAIT = 10.0  # seconds
REPEAT_EVERY = 60.0
"""Seconds after which an outage that lasts is reported again."""


def settle_down() -> None:
    """Have this process look for garbage only among what it makes from now on.

    Of what it has loaded it lets go of nothing, and looking through that takes 50 ms each time.
    """
    gc.collect()
    gc.freeze()


class Service(ABC):
    """Something that goes on until it is told to stop."""

    interval = 1.0
    """Seconds between steps that found nothing to do."""

    def __init__(self) -> None:
        self._outage: str | None = None
        self._reported_at = 0.0
        self._wait = FIRST_WAIT
        self._had_conflict = False

    @abstractmethod
    def step(self) -> bool:
        """Do one piece of work; return whether there may be more at once.

        Raises:
            EurydiceError: one of `OUTAGES` is waited out and the step tried again.
        """

    def run(self, stop: threading.Event) -> None:
        """Take steps until `stop` is set, waiting while there is nothing to do or no way to."""
        while not stop.is_set():
            try:
                busy = self.step()
            except OUTAGES as error:
                self._wait_out(error, stop)
                continue
            self.report_recovery()
            if busy:
                self.gather(stop)
            else:
                self.idle(stop)

    def _wait_out(self, error: EurydiceError, stop: threading.Event) -> None:
        """Report an outage and wait, longer each time; a first conflict is repeated at once."""
        if isinstance(error, TransactionConflict) and not self._had_conflict:
            self._had_conflict = True
            return
        self.report_outage(str(error))
        stop.wait(self._wait)
        self._wait = min(self._wait * 2, LONGEST_WAIT)

    def gather(self, stop: threading.Event) -> None:  # noqa: B027 - most services do nothing
        """Wait a moment between two steps, where more work at once is less work in all."""

    def idle(self, stop: threading.Event) -> None:
        """Wait after a step that found nothing to do."""
        stop.wait(self.interval)

    def report_outage(self, reason: str) -> None:
        """Say what is wrong, once, and again every minute while it lasts."""
        now = time.monotonic()
        if reason != self._outage or now - self._reported_at > REPEAT_EVERY:
            logger.error("{}; waiting for it, nothing is lost", reason)
            self._outage, self._reported_at = reason, now

    def report_recovery(self) -> None:
        """Say that it goes on, if there was an outage."""
        if self._outage is not None:
            logger.info("going on after: {}", self._outage)
        self._outage, self._wait, self._had_conflict = None, FIRST_WAIT, False
