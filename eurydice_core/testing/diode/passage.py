"""Datagrams go in, and what is left of them comes out; no sockets and no clock."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable

from eurydice_core.model.buffer import Buffer
from eurydice_core.testing.diode.faults import MILLISECONDS, Decisions, Fault, Incident

__all__ = ["Passage", "Run"]

Run = tuple[memoryview, int]
"""Datagrams one behind the other, and the size of each."""


PAST_TENSE = {
    Fault.TRUNCATE: "truncated",
    Fault.CORRUPT: "corrupted",
    Fault.DUPLICATE: "duplicated",
    Fault.DELAY: "delayed",
}


def ignore(incident: Incident) -> None:
    """Take an incident that nobody wants to know."""


class Passage:
    """Does to datagrams what was decided; those that nothing happens to are never touched."""

    def __init__(
        self, decisions: Decisions, note: Callable[[Incident], None] | None = None
    ) -> None:
        self.counts: Counter[str] = Counter(
            {"datagrams": 0, "bytes": 0, "lost": 0, **dict.fromkeys(PAST_TENSE.values(), 0)}
        )
        self._decisions = decisions
        self._note = note or ignore
        self._delayed: list[tuple[int, int, bytes]] = []
        self._stall = 0.0
        self._number = 0

    def feed(self, data: Buffer, size: int, elapsed: float) -> list[Run]:
        """Take datagrams of this size, of which the last may be shorter; return what goes on.

        What is returned looks into `data`, where it was not changed.
        """
        view = memoryview(data).cast("B")
        whole = len(view) // size if size else 1
        runs = self._pass_on(view[: whole * size], whole, size, elapsed) if whole else []
        rest = view[whole * size :]
        if len(rest):
            runs += self._pass_on(rest, 1, len(rest), elapsed)
        return runs

    def release(self) -> list[Run]:
        """Return what is held back: nothing comes that could overtake it."""
        if not self._delayed:
            return []
        self._note(Incident(self._number, Fault.RELEASE))
        return self._released()

    def take_stall(self) -> float:
        """Return for how many seconds more nothing is to go on, and forget it."""
        stall, self._stall = self._stall, 0.0
        return stall

    def _pass_on(self, view: memoryview, count: int, size: int, elapsed: float) -> list[Run]:
        first, self._number = self._number, self._number + count
        self.counts["datagrams"] += count
        self.counts["bytes"] += len(view)
        runs: list[Run] = []
        happening: dict[int, list[Incident]] = {}
        for incident in self._decisions.incidents(first, count, size, elapsed):
            self._note(incident)
            happening.setdefault(incident.at, []).append(incident)
        at = first
        for number, incidents in happening.items():
            if number >= at:
                self._unchanged(runs, view, size, (at, number), first)
            end = number + self._lost(runs, incidents)
            self.counts["lost"] += max(0, end - max(at, number))
            at = max(at, number, end)
            if at == number:
                self._changed(runs, view[(number - first) * size :][:size], incidents, number)
                at += 1
        self._unchanged(runs, view, size, (at, self._number), first)
        return runs

    def _lost(self, runs: list[Run], incidents: list[Incident]) -> int:
        """Return how many datagrams are lost in a row, after what concerns no single one."""
        lost = 0
        for incident in incidents:
            if incident.fault is Fault.STALL:
                self._stall += incident.amount / MILLISECONDS
            elif incident.fault is Fault.RELEASE:
                runs += self._released()
            elif incident.fault is Fault.LOSE:
                lost = max(lost, incident.amount)
        return lost

    def _unchanged(
        self, runs: list[Run], view: memoryview, size: int, numbers: tuple[int, int], first: int
    ) -> None:
        """Let datagrams pass, and those held back where their time has come."""
        start, stop = numbers
        while self._delayed and self._delayed[0][0] <= stop:
            due, _, datagram = heapq.heappop(self._delayed)
            if due > start:
                runs.append((view[(start - first) * size : (due - first) * size], size))
                start = due
            runs.append((memoryview(datagram), len(datagram)))
        if stop > start:
            runs.append((view[(start - first) * size : (stop - first) * size], size))

    def _changed(
        self, runs: list[Run], datagram: memoryview, incidents: list[Incident], number: int
    ) -> None:
        copies, delay = 1, 0
        for incident in incidents:
            if incident.fault is Fault.TRUNCATE:
                datagram = datagram[: incident.amount]
            elif incident.fault is Fault.CORRUPT:
                datagram = with_bit_turned(datagram, incident.amount)
            elif incident.fault is Fault.DUPLICATE:
                copies += incident.amount
            elif incident.fault is Fault.DELAY:
                delay = incident.amount
            else:
                continue
            self.counts[PAST_TENSE[incident.fault]] += 1
        for copy in range(copies):
            if delay:
                due = number + 1 + delay
                heapq.heappush(self._delayed, (due, 2 * number + copy, bytes(datagram)))
            else:
                runs.append((datagram, len(datagram)))

    def _released(self) -> list[Run]:
        runs = [(memoryview(datagram), len(datagram)) for _, _, datagram in sorted(self._delayed)]
        self._delayed.clear()
        return runs


def with_bit_turned(datagram: memoryview, bit: int) -> memoryview:
    """Return a copy that differs in one bit, if it is long enough to have it."""
    changed = bytearray(datagram)
    if bit < 8 * len(changed):
        changed[bit // 8] ^= 1 << bit % 8
    return memoryview(changed)
