"""A daemon is a loop around `step()`, which a test can call; outages are waited out here."""

from __future__ import annotations

import gc
import threading
from abc import ABC, abstractmethod

from eurydice_core.errors import TransactionConflict
from eurydice_core.outages import OutageLog, describe, is_outage

__all__ = ["Service", "settle_down"]


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
        self.outage = OutageLog()
        self._had_conflict = False

    @abstractmethod
    def step(self) -> bool:
        """Do one piece of work; return whether there may be more at once.

        Raises:
            Exception: an outage is waited out and the step tried again; anything else ends
                the process, and its supervisor starts it again.
        """

    def run(self, stop: threading.Event) -> None:
        """Take steps until `stop` is set, waiting while there is nothing to do or no way to."""
        while not stop.is_set():
            try:
                busy = self.step()
            except Exception as error:
                if not is_outage(error):
                    raise
                self._wait_out(error, stop)
                continue
            self.outage.end()
            self._had_conflict = False
            if busy:
                self.gather(stop)
            else:
                self.idle(stop)

    def _wait_out(self, error: Exception, stop: threading.Event) -> None:
        """Report an outage and wait, longer each time; a first conflict is repeated at once."""
        if isinstance(error, TransactionConflict) and not self._had_conflict:
            self._had_conflict = True
            return
        stop.wait(self.outage.report(describe(error)))

    def gather(self, stop: threading.Event) -> None:  # noqa: B027 - most services do nothing
        """Wait a moment between two steps, where more work at once is less work in all."""

    def idle(self, stop: threading.Event) -> None:
        """Wait after a step that found nothing to do."""
        stop.wait(self.interval)
