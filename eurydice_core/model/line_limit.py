"""A limit on log lines that other machines can cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

__all__ = ["LineLimit"]

PERIOD_SECONDS = 60.0


@dataclass(slots=True)
class Period:
    """The minute after a line of one kind."""

    ends: float
    withheld: int = 0


class LineLimit:
    """Admit one line a minute for each kind of report, and count the reports in between.

    Kinds are named by the code, never by the other machine, so memory is bounded. Not thread-safe.
    """

    def __init__(
        self, seconds: float = PERIOD_SECONDS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._periods: dict[Hashable, Period] = {}

    def admit(self, kind: Hashable) -> bool:
        """Return whether a report of this kind may be logged; count it if it may not."""
        now = self._clock()
        period = self._periods.get(kind)
        if period is not None and now < period.ends:
            period.withheld += 1
            return False
        # The caller asks for what was withheld, whether or not another report comes.
        self._periods[kind] = Period(now + self._seconds, period.withheld if period else 0)
        return True

    def withheld(self) -> Iterator[tuple[Hashable, int]]:
        """Yield the kinds whose minute is over, and how many reports it withheld."""
        if not self._periods:
            return
        now = self._clock()
        for kind, period in [*self._periods.items()]:
            if period.withheld and now >= period.ends:
                self._periods[kind] = Period(now + self._seconds)
                yield kind, period.withheld
