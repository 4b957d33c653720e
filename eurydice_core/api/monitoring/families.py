"""Shapes that what the database knows takes for Prometheus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from eurydice_core.api.monitoring.measures import Family

__all__ = ["counters", "gauge", "labelled", "moment"]

PREFIX: Final = "eurydice_"
STATES: Final = frozenset({"margin_percent", "missing", "spool_bytes", "spool_packets"})
"""What daemons note that does not only grow: a packet that was missing may come late."""
FOREIGN: Final = re.compile(r"[^a-z0-9_]+")


def gauge(name: str, help: str, value: float | None) -> Iterator[Family]:
    """Yield a value; nothing if there is none."""
    if value is not None:
        yield GaugeMetricFamily(PREFIX + name, help, value=value)


def moment(name: str, help: str, at: datetime | None) -> Iterator[Family]:
    """Yield a point in time."""
    yield from gauge(f"{name}_timestamp_seconds", help, at.timestamp() if at else None)


def counters(name: str, help: str, counted: Mapping[str, int]) -> Iterator[Family]:
    """Yield what a daemon counted, each count under a name of its own."""
    for key, value in sorted(counted.items()):
        kind = GaugeMetricFamily if key in STATES else CounterMetricFamily
        own = FOREIGN.sub("_", key.lower())  # plugins count what they like
        yield kind(f"{PREFIX}{name}_{own}", f"{help}: {key}.", value=value)


def labelled(
    name: str, help: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> Iterator[Family]:
    """Yield values with labels; those with the same ones are added up."""
    sums: Counter[tuple[str, ...]] = Counter()
    for key, value in values:
        sums[key] += value  # type: ignore[assignment]
    family = GaugeMetricFamily(PREFIX + name, help, labels=labels)
    for key, total in sums.items():
        family.add_metric(key, total)
    yield family
