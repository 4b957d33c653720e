"""What happens to which datagram: decided by a seed, without input, output or a clock."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Decisions", "Fault", "Faults", "Incident", "Interval"]

Interval = tuple[float, float]
"""From when to when, in seconds after the first datagram."""

UDP_OVERHEAD = 28  # bytes of IP and UDP headers, so that even an empty datagram has a length
MILLISECONDS = 1000
NEVER = 1 << 63  # more bytes or datagrams than anybody sends


class Fault(StrEnum):
    """What can happen on the way."""

    STALL = "stall"
    RELEASE = "release"
    LOSE = "lose"
    TRUNCATE = "truncate"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"
    DELAY = "delay"


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happens, at the datagram of this number."""

    at: int
    fault: Fault
    amount: int = 1
    """Lose: how many in a row. Truncate: bytes left. Corrupt: which bit is turned.
    Duplicate: further copies. Delay: how many datagrams overtake it. Stall: milliseconds
    for which nothing goes on. Release: without meaning."""


class Decisions(ABC):
    """Says what happens to datagrams, which it is asked about in their order."""

    @abstractmethod
    def incidents(self, first: int, count: int, size: int, elapsed: float) -> list[Incident]:
        """Return what happens to `count` datagrams of this size, numbered from `first`.

        In their order, and nothing reaches beyond the last of them.
        `elapsed` is the time since the first datagram of all, in seconds.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How bad the emulated link is; shares are between 0 and 1, of all datagrams."""

    loss: float = 0.0
    """Share lost at random, each datagram for itself."""
    burst_bytes: int = 0
    """Bytes lost in a row, IP headers included."""
    burst_every: int = 256_000_000
    """Every so many bytes have one burst, at a random place."""
    duplicate: float = 0.0
    """Share that comes twice."""
    reorder: float = 0.0
    """Share that is overtaken by others."""
    reorder_by: int = 50
    """Datagrams that overtake it, at most."""
    corrupt: float = 0.0
    """Share in which one bit is turned."""
    truncate: float = 0.0
    """Share that comes shorter."""
    lost_after_silence: int = 0
    """Datagrams lost when something is sent after `silence` seconds without."""
    silence: float = 0.5
    """Seconds after which neighbour tables have forgotten the link."""
    cuts: Sequence[Interval] = ()
    """When everything is lost."""
    stalls: Sequence[Interval] = ()
    """When nothing goes on, and all of it comes afterwards."""
    seed: int = 0
    """The same seed has the same faults happen to the same datagrams."""

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "corrupt", "truncate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.burst_bytes <= self.burst_every:
            raise ValueError(
                f"burst_bytes must be between 0 and burst_every, {self.burst_every}:"
                f" not {self.burst_bytes}"
            )
        if self.reorder_by < 1:
            raise ValueError(f"reorder_by is a number of datagrams, not {self.reorder_by}")

    def decisions(self) -> Decisions:
        """Return these faults, from the first datagram on."""
        return SeededDecisions(self)


class SeededDecisions(Decisions):
    """Draws the distance to the next incident instead of a number for every datagram."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._kinds = [
            Draws(Fault.LOSE, faults.loss, faults),
            Draws(Fault.TRUNCATE, faults.truncate, faults),
            Draws(Fault.CORRUPT, faults.corrupt, faults),
            Draws(Fault.DUPLICATE, faults.duplicate, faults),
            Draws(Fault.DELAY, faults.reorder, faults),
        ]
        self._stalls = sorted(faults.stalls)
        self._position = 0
        self._last = -math.inf
        self._asleep = 0
        self._bursts = burst_windows(faults)
        self._burst = next(self._bursts)

    def incidents(self, first: int, count: int, size: int, elapsed: float) -> list[Incident]:
        """Return what happens, in the order of the datagrams."""
        found = [*self._stalled(first, elapsed), *self._cut(first, count, elapsed)]
        found += self._after_silence(first, count, elapsed)
        found += self._in_bursts(first, count, size + UDP_OVERHEAD)
        for kind in self._kinds:
            found += kind.before(first + count, size)
        found.sort(key=lambda incident: incident.at)
        return found

    def _stalled(self, first: int, elapsed: float) -> Iterator[Incident]:
        while self._stalls and self._stalls[0][0] <= elapsed:
            _, stop = self._stalls.pop(0)
            if stop > elapsed:
                yield Incident(first, Fault.STALL, math.ceil((stop - elapsed) * MILLISECONDS))

    def _cut(self, first: int, count: int, elapsed: float) -> Iterator[Incident]:
        if any(start <= elapsed < stop for start, stop in self._faults.cuts):
            yield Incident(first, Fault.LOSE, count)

    def _after_silence(self, first: int, count: int, elapsed: float) -> Iterator[Incident]:
        if elapsed - self._last >= self._faults.silence:
            self._asleep = self._faults.lost_after_silence
        self._last = elapsed
        lost = min(count, self._asleep)
        if lost:
            self._asleep -= lost
            yield Incident(first, Fault.LOSE, lost)

    def _in_bursts(self, first: int, count: int, step: int) -> Iterator[Incident]:
        """Lose the datagrams that begin within a burst."""
        position, end = self._position, self._position + count * step
        self._position = end
        while self._burst[0] < end:
            start, stop = self._burst
            begin = max(0, -((position - start) // step))
            behind = min(count, -((position - stop) // step))
            if behind > begin:
                yield Incident(first + begin, Fault.LOSE, behind - begin)
            if stop > end:
                return
            self._burst = next(self._bursts)


class Draws:
    """When one kind of fault happens next, and how bad it is."""

    def __init__(self, fault: Fault, share: float, faults: Faults) -> None:
        self._fault = fault
        self._share = share
        self._reorder_by = faults.reorder_by
        # A sequence of its own, so that more of one fault does not move the others.
        self._chance = random.Random(f"{faults.seed} {fault}")  # noqa: S311 - to be repeatable
        self._next = self._distance() - 1

    def before(self, end: int, size: int) -> Iterator[Incident]:
        """Yield what happens before the datagram of that number."""
        while self._next < end:
            yield Incident(self._next, self._fault, self._amount(size))
            self._next += self._distance()

    def _distance(self) -> int:
        if self._share in (0, 1):
            return 1 if self._share else NEVER
        drawn = math.log(1 - self._chance.random()) / math.log1p(-self._share)
        return 1 + math.floor(min(drawn, NEVER))

    def _amount(self, size: int) -> int:
        drawn = self._chance.random()
        most = {Fault.TRUNCATE: size, Fault.CORRUPT: 8 * size, Fault.DELAY: self._reorder_by}
        chosen = int(drawn * most.get(self._fault, 1))
        return chosen if self._fault in (Fault.TRUNCATE, Fault.CORRUPT) else chosen + 1


def burst_windows(faults: Faults) -> Iterator[tuple[int, int]]:
    """Yield where each burst begins and ends, in bytes since the first datagram."""
    chance = random.Random(f"{faults.seed} burst")  # noqa: S311 - to be repeatable
    period = 0
    while faults.burst_bytes:
        room = faults.burst_every - faults.burst_bytes
        start = period * faults.burst_every + int(chance.random() * room)
        yield start, start + faults.burst_bytes
        period += 1
    yield NEVER, NEVER
