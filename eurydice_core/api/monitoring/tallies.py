"""Counts that the worker processes of one server share, so that any of them can tell all."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prometheus_client.mmap_dict import mmap_key
from prometheus_client.utils import floatToGoString

from eurydice_core.api.monitoring.measures import Family, Histogram, Tally
from eurydice_core.api.monitoring.tally_files import TallyFiles

__all__ = ["Tallies"]


class Tallies:
    """What this worker counts, and what all of them counted together.

    Nothing is opened before something is counted: until then, a process may fork.
    """

    def __init__(self, parent: Path, directory: Path | None = None) -> None:
        """Count in a directory for several workers, else in one of our own below `parent`."""
        self._parent = parent
        self._directory = directory
        self._lock = threading.Lock()
        self._files: TallyFiles | None = None
        self._begun: set[str] = set()
        self._closed = False

    def count(self, tally: Tally, *labels: str, amount: float = 1) -> None:
        """Add to a count."""
        key = _tally_key(tally, labels)
        with self._lock:
            if not self._closed:
                self._opened().add("counter", key, amount)

    def observe(self, histogram: Histogram, seconds: float, *labels: str) -> None:
        """Add a duration."""
        keys = _histogram_keys(histogram, labels)
        found = bisect_left(histogram.bounds, seconds)
        with self._lock:
            if self._closed:
                return
            files = self._opened()
            if keys.sum not in self._begun:  # whoever sees a histogram wants all of its buckets
                self._begun.add(keys.sum)
                for key in keys.buckets:
                    files.add("histogram", key, 0)
            files.add("histogram", keys.sum, seconds)
            files.add("histogram", keys.buckets[found], 1)

    def collect(self) -> Iterable[Family]:
        """Return what all workers counted since their server was started."""
        with self._lock:
            files = self._opened()
        return files.read_all()

    def close(self) -> None:
        """Count no more, and free the files; other workers still see what was counted."""
        with self._lock:
            files, self._files = self._files, None
            self._closed = True
        if files is not None:
            files.close()

    def _opened(self) -> TallyFiles:
        if self._files is None:
            self._files = TallyFiles(self._directory, self._parent)
        return self._files


@dataclass(frozen=True, slots=True)
class _HistogramKeys:
    sum: str
    buckets: tuple[str, ...]


@cache  # labels are few, or else there were as many counts
def _tally_key(tally: Tally, labels: tuple[str, ...]) -> str:
    name = f"{tally.name}_total"
    key: str = mmap_key(tally.name, name, list(tally.labels), list(labels), tally.help)
    return key


@cache
def _histogram_keys(histogram: Histogram, labels: tuple[str, ...]) -> _HistogramKeys:
    name, names = histogram.name, list(histogram.labels)
    bounds = [floatToGoString(bound) for bound in (*histogram.bounds, float("inf"))]
    return _HistogramKeys(
        sum=mmap_key(name, f"{name}_sum", names, list(labels), histogram.help),
        buckets=tuple(
            mmap_key(name, f"{name}_bucket", [*names, "le"], [*labels, bound], histogram.help)
            for bound in bounds
        ),
    )
