"""The most memory that each process ever used, as the kernel counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from eurydice_core.cli.run.services import Name

__all__ = ["DEMO", "MemoryMeter", "Peak"]

DEMO: Final = "demo"
SUPERVISOR: Final = "supervisor"


@dataclass(frozen=True, slots=True)
class Peak:
    """One process and its peak."""

    side: str
    process: str
    bytes: int


class MemoryMeter:
    """Looks at this process and everything below it, as often as it is asked to."""

    def __init__(self) -> None:
        self._sides: dict[int, str] = {}
        self._peaks: dict[tuple[str, str], int] = {(DEMO, DEMO): 0}

    def name(self, pid: int, side: str) -> None:
        """Say which process is the supervisor of a side."""
        self._sides[pid] = side

    def look(self) -> None:
        """Note the peaks so far; a process that was started again counts as one."""
        for side, role, pid in self._processes():
            known = self._peaks.get((side, role), 0)
            self._peaks[side, role] = max(known, peak_of(pid))

    def peaks(self) -> list[Peak]:
        """Return what was noted, side by side."""
        return [Peak(side, role, size) for (side, role), size in self._peaks.items() if size]

    def _processes(self) -> Iterator[tuple[str, str, int]]:
        me = psutil.Process()
        yield DEMO, DEMO, me.pid
        for child in below(me):
            side = self._sides.get(child.pid)
            if side is None:
                yield DEMO, name_of(child), child.pid
                continue
            yield side, SUPERVISOR, child.pid
            for service in below(child):
                role = role_of(service)
                yield side, role, service.pid
                for helper in below(service, recursive=True):
                    yield side, f"{role} (worker)", helper.pid


def below(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    """Return the children of a process; none if it has just ended."""
    with suppress(psutil.Error):
        return list(process.children(recursive=recursive))
    return []


def role_of(process: psutil.Process) -> str:
    """Return which service a process is, by the last word of its command."""
    with suppress(psutil.Error, ValueError):
        words = process.cmdline()
        return Name(words[words.index("run") + 1]).value
    return "other"


def name_of(process: psutil.Process) -> str:
    """Return what a process is called."""
    with suppress(psutil.Error):
        return str(process.name())
    return "other"


def peak_of(pid: int) -> int:
    """Return the peak of a process's resident memory in bytes, 0 if it has just ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
