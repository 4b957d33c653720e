"""Clocks: dates come from the wall clock, durations from the monotonic one.

The wall clock may step at any time, by a day forward or an hour back. A function that needs a
clock takes it as an argument, so that a test need not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Final

__all__ = ["ChangeAges", "Clock", "SteadyClock", "steady_seconds", "utc_now"]

Clock = Callable[[], datetime]
"""Returns an aware point in time."""
DAY: Final = 24 * 3600.0


def utc_now() -> datetime:
    """Return the wall clock's time, in UTC."""
    return datetime.now(UTC)


def steady_seconds() -> float:
    """Return seconds since the machine started, its sleep included: they never step."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """A wall clock that is never ahead of the time that really passed.

    For work that deletes what is old: a wall clock that jumps forward makes nothing old. It
    follows a step back at once. A step forward counts once it has lasted for a day. Safe for
    threads.
    """

    def __init__(
        self,
        wall: Clock = utc_now,
        *,
        steady: Callable[[], float] = steady_seconds,
        trust_after: float = DAY,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._trust_after = trust_after
        self._lock = threading.Lock()
        self._offset = wall().timestamp() - steady()
        self._ahead_since: float | None = None

    def __call__(self) -> datetime:
        """Return the time, in UTC."""
        with self._lock:
            now = self._steady()
            offset = self._wall().timestamp() - now
            if offset <= self._offset + 1.0:
                self._offset, self._ahead_since = offset, None
            elif self._ahead_since is None:
                self._ahead_since = now
            elif now - self._ahead_since >= self._trust_after:
                self._offset, self._ahead_since = offset, None
            return datetime.fromtimestamp(now + self._offset, UTC)


class ChangeAges:
    """For how long values have been the same, on the clock of who looks. Safe for threads.

    What another process writes from time to time tells that it lives, whatever both clocks say.
    """

    def __init__(self, *, steady: Callable[[], float] = steady_seconds) -> None:
        self._steady = steady
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Hashable, float]] = {}

    def age(self, name: str, value: Hashable, *, first: float = 0.0) -> float:
        """Return the seconds since `value` came up.

        Args:
            name: what has the value.
            value: differs from the one before if something was written since.
            first: its age if this name is seen for the first time.
        """
        with self._lock:
            now = self._steady()
            known = self._seen.get(name)
            if known is None:
                self._seen[name] = value, now - max(0.0, first)
            elif known[0] != value:
                self._seen[name] = value, now
            return now - self._seen[name][1]

    def keep(self, names: set[str], prefix: str = "") -> None:
        """Forget the names of a prefix that are not among these."""
        with self._lock:
            for name in [name for name in self._seen if name.startswith(prefix)]:
                if name not in names:
                    del self._seen[name]
