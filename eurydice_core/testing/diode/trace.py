"""What an emulated diode did, one JSON line an incident, to be done again exactly."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from eurydice_core.private_files import PRIVATE
from eurydice_core.testing.diode.faults import Decisions, Fault, Incident

__all__ = ["Trace", "TraceWriter"]


class Trace:
    """Incidents that were recorded; stands where `Faults` may stand."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self.incidents = tuple(incidents)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that a `TraceWriter` wrote."""
        with path.open(encoding="utf-8") as file:
            return cls(parsed(line) for line in file)

    def decisions(self) -> Decisions:
        """Return the incidents again, from the first datagram on."""
        return ReplayedDecisions(self.incidents)


class ReplayedDecisions(Decisions):
    """Decides nothing; datagrams may come in batches of other sizes than they did."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self._left = deque(incidents)

    def incidents(self, first: int, count: int, size: int, elapsed: float) -> list[Incident]:
        """Return what was recorded for these datagrams."""
        found: list[Incident] = []
        beyond: list[Incident] = []
        end = first + count
        while self._left and self._left[0].at < end:
            incident = self._left.popleft()
            if incident.fault is Fault.LOSE and incident.at + incident.amount > end:
                beyond.append(Incident(end, Fault.LOSE, incident.at + incident.amount - end))
                incident = Incident(incident.at, Fault.LOSE, end - incident.at)
            found.append(incident)
        self._left.extendleft(reversed(beyond))
        return found


class TraceWriter:
    """Writes incidents down, losses in a row as one."""

    def __init__(self, path: Path) -> None:
        self._file = PRIVATE.open_file(path, "w", encoding="utf-8")
        self._last: Incident | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write_last()
        self._file.close()

    def note(self, incident: Incident) -> None:
        """Take the next incident."""
        last = self._last
        if (
            last is not None
            and last.fault is incident.fault is Fault.LOSE
            and last.at + last.amount == incident.at
        ):
            self._last = Incident(last.at, Fault.LOSE, last.amount + incident.amount)
            return
        self._write_last()
        self._last = incident

    def _write_last(self) -> None:
        if self._last is not None:
            at, fault, amount = self._last.at, self._last.fault, self._last.amount
            self._file.write(json.dumps({"at": at, fault: amount}) + "\n")


def parsed(line: str) -> Incident:
    """Return the incident of one line.

    Raises:
        ValueError: the line is none.
    """
    entry = json.loads(line)
    at = entry.pop("at", None) if isinstance(entry, dict) else None
    if not isinstance(at, int) or len(entry) != 1:
        raise ValueError(f"no line of a trace: {line.strip()[:80]}")
    ((fault, amount),) = entry.items()
    return Incident(at, Fault(fault), int(amount))
