"""A token bucket that limits a sender's rate, for links that cannot push back."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["MAX_BURST", "Pace"]

BURST_SECONDS = 0.01
MAX_BURST = 4 << 20  # bytes; an eighth of the default receive buffer of transport_udp
CALL_SECONDS = 0.002
BYTES_PER_MEGABIT = 125_000


class Pace:
    """Limit a sender to `rate` Mbit/s on average, with a small burst after idle time.

    A rate of 0 is no limit. The clock is read once for each decision and may jump: a step
    forward ends the wait for one packet and grants one burst at most, a step back delays
    nothing. Not thread-safe.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = rate * BYTES_PER_MEGABIT
        self._clock = clock
        self._sleep = sleep
        self._now = self._paid_until = clock()

    def take(self, size: int) -> None:
        """Wait until `size` bytes may be sent; a late wake-up is made up for afterwards."""
        if not self._bytes_per_second:
            return
        now = self._clock()
        if now < self._now:
            self._paid_until -= self._now - now
        wait = self._paid_until - now
        if wait > 0:
            self._sleep(wait)
            self._now = self._paid_until
        else:
            credit = min(BURST_SECONDS, MAX_BURST / self._bytes_per_second)
            self._paid_until = max(self._paid_until, now - credit)
            self._now = now
        self._paid_until += size / self._bytes_per_second

    def datagrams_at_once(self, size: int, most: int) -> int:
        """Return how many datagrams may leave back to back without being a burst."""
        if not self._bytes_per_second:
            return most
        return max(1, min(most, int(self._bytes_per_second * CALL_SECONDS / size)))
