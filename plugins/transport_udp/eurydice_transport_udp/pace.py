"""A token bucket: how fast the sender may go, since nobody can tell it to slow down."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]

BURST_SECONDS = 0.01
MAX_BURST = 4 << 20  # bytes; an eighth of the default receive buffer
CALL_SECONDS = 0.002


class Pace:
    """Lets through `rate` Mbit/s on average, and little more at once; 0 is no limit."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = rate * 125_000
        self._clock = clock
        self._sleep = sleep
        self._paid_until = clock()

    def take(self, size: int) -> None:
        """Wait until these bytes may go; time lost to a late wake-up is made up for."""
        if not self._bytes_per_second:
            return
        now = self._clock()
        if self._paid_until > now:
            self._sleep(self._paid_until - now)
        else:
            credit = min(BURST_SECONDS, MAX_BURST / self._bytes_per_second)
            self._paid_until = max(self._paid_until, now - credit)
        self._paid_until += size / self._bytes_per_second

    def datagrams_at_once(self, size: int, most: int) -> int:
        """Return how many datagrams may leave back to back without being a burst."""
        if not self._bytes_per_second:
            return most
        return max(1, min(most, int(self._bytes_per_second * CALL_SECONDS / size)))
