"""Sends small packets again, later: a short disturbance loses such a packet with its repair.

The repair of a large packet makes up for a burst; a small one lies within the burst. After
silence, when switches and neighbour tables have forgotten the link, even a megabyte may. So
the first datagrams after silence are sent again after 20 ms and 100 ms, the first time so
often that at least `HEAD_DATAGRAMS` left since the silence; of other small packets a copy
follows if the link is idle then. No packet waits for an echo.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.wire import Bytes

__all__ = ["Echoes"]

SILENCE_SECONDS = 0.5
HEAD_DATAGRAMS = 128
SMALL_DATAGRAMS = 16
DELAYS_SECONDS = (0.02, 0.1)
IDLE_SECONDS = 0.01
MAX_BYTES = 2 << 20  # of one echo
MAX_WAITING = 64  # packets
AT_ONCE = 8  # datagrams between which a packet may go first
ENOUGH_REPAIR = 2 * HEAD_DATAGRAMS  # symbols: a packet with so many survives the loss of its head


@dataclass(slots=True)
class Echo:
    """Datagrams to send again."""

    due: list[float]
    after_silence: bool
    rows: list[Bytes] = field(default_factory=list)
    datagrams: int = 0
    """Number of datagrams kept in `rows`."""
    sent: int = 0
    """Number of datagrams sent since the silence."""


class Echoes:
    """Keep the first datagrams after silence, and small packets, until they are sent again."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent_at = float("-inf")
        self._head: Echo | None = None
        """The echo of the datagrams after a silence, while more may join it."""
        self._current: Echo | None = None
        """The echo of the packet being sent."""
        self._waiting: deque[Echo] = deque()

    def begin(self, layout: Layout) -> None:
        """Decide whether a packet that is about to be sent will be sent again."""
        now = self._clock()
        self._current = None
        if layout.m == 0:  # the link repairs by itself
            return
        if now - self._sent_at >= SILENCE_SECONDS:
            self._head = Echo([now + delay for delay in DELAYS_SECONDS], after_silence=True)
            self._waiting.append(self._head)
        head = self._head
        if head is not None and now < head.due[0] and head.datagrams < HEAD_DATAGRAMS:
            if layout.m * layout.blocks < ENOUGH_REPAIR:
                self._current = head
        elif is_small(layout) and len(self._waiting) < MAX_WAITING:
            self._current = Echo([now + DELAYS_SECONDS[0]], after_silence=False)
            self._waiting.append(self._current)

    def sent(self, datagrams: Bytes) -> None:
        """Keep what is needed of datagrams that were sent, which may change afterwards."""
        self._sent_at = self._clock()
        if self._head is not None:
            self._head.sent += len(datagrams)
        if self._current is not None:
            kept = datagrams[: HEAD_DATAGRAMS - self._current.datagrams].copy()
            self._current.datagrams += len(kept)
            self._current.rows.append(kept)

    def next_due(self) -> float | None:
        """Return when the next echo is due, if any is."""
        return min((echo.due[0] for echo in self._waiting), default=None)

    def take_due(self, *, at_once: bool = False) -> Iterator[Bytes]:
        """Yield datagrams whose echo is due, on an idle link; all of them once with `at_once`."""
        now = self._clock()
        is_idle = at_once or now - self._sent_at >= IDLE_SECONDS
        for echo in [*self._waiting]:
            if echo.due[0] > now and not at_once:
                continue
            is_first = len(echo.due) == len(DELAYS_SECONDS)
            echo.due = [] if at_once else echo.due[1:]
            if not echo.due:
                self._waiting.remove(echo)
            if self._head is echo:
                self._head = None
            if echo.after_silence or is_idle:
                least = HEAD_DATAGRAMS - echo.sent if is_first and not at_once else 0
                yield from repeated(echo.rows, max(echo.datagrams, least))


def repeated(rows: Sequence[Bytes], count: int) -> Iterator[Bytes]:
    """Yield rows again and again until they are `count` datagrams, or `MAX_BYTES`."""
    size = 0
    for several in cycle(rows):
        for first in range(0, len(several), AT_ONCE):
            part = several[first : first + min(AT_ONCE, count)]
            size += part.nbytes
            if not count or size > MAX_BYTES:
                return
            count -= len(part)
            yield part


def is_small(layout: Layout) -> bool:
    """Return whether one burst takes a packet with all of its repair."""
    return layout.sources + layout.m * layout.blocks <= SMALL_DATAGRAMS
