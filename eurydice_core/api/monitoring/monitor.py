"""Everything that one API watches of its side, in one place."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from eurydice_core import __version__
from eurydice_core.api.monitoring.cached import Cached
from eurydice_core.api.monitoring.checks import checks_of
from eurydice_core.api.monitoring.families import gauge
from eurydice_core.api.monitoring.figures import read_figures
from eurydice_core.api.monitoring.measures import DATABASE_SECONDS, STORAGE_SECONDS, Family
from eurydice_core.api.monitoring.readiness import Readiness
from eurydice_core.api.monitoring.tallies import Tallies
from eurydice_core.api.monitoring.timed_database import time_transactions
from eurydice_core.api.monitoring.timed_storage import timed_storage
from eurydice_core.api.threads import Threads
from eurydice_core.errors import StorageError
from eurydice_core.installation import Installation
from eurydice_core.interfaces.storage import HasFreeSpace

__all__ = ["Monitor", "watched"]

KEEP_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 5.0


class Monitor:
    """What is counted in this process, read from the database, and checked."""

    def __init__(self, installation: Installation, tallies: Tallies, threads: Threads) -> None:
        self.tallies = tallies
        self.readiness = Readiness(checks_of(installation))
        self._installation = installation
        self._threads = threads
        self._figures = Cached(self._read_figures, keep=KEEP_SECONDS, patience=PATIENCE_SECONDS)

    async def exposition(self) -> bytes:
        """Return all figures, in Prometheus' text format."""
        figures = await self._figures.get()
        return await self._threads.run(self._exposed, figures)

    def close(self) -> None:
        """Count and check no more."""
        self.readiness.close()
        self.tallies.close()

    async def _read_figures(self) -> list[Family]:
        return await self._threads.run(read_figures, self._installation)

    def _exposed(self, figures: list[Family] | None) -> bytes:
        registry = CollectorRegistry()
        registry.register(_Families([*self.tallies.collect(), *(figures or ()), *self._facts()]))
        known = gauge("figures_known", "Whether the database could be asked.", figures is not None)
        registry.register(_Families(list(known)))
        return generate_latest(registry)

    def _facts(self) -> Iterator[Family]:
        settings = self._installation.settings
        info = GaugeMetricFamily(
            "eurydice_info", "Which side and version this is.", labels=("side", "version")
        )
        info.add_metric((settings.side.value, __version__), 1)
        yield info
        yield from gauge(
            "state_dir_free_bytes",
            "What is left of the disk of state_dir.",
            _free(settings.state_dir),
        )
        storage = self._installation.storage
        if isinstance(storage, HasFreeSpace):
            try:
                free = storage.free_space()
            except StorageError:
                return  # /readyz says so
            yield from gauge("storage_free_bytes", "What more fits into the storage.", free)


class _Families(Collector):
    """What was collected already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def watched(installation: Installation, tallies: Tallies) -> Installation:
    """Return the installation with its database and its storage timed."""

    def database(kind: str, seconds: float) -> None:
        tallies.observe(DATABASE_SECONDS, seconds, kind)

    def storage(operation: str, seconds: float) -> None:
        tallies.observe(STORAGE_SECONDS, seconds, operation)

    time_transactions(installation.database.engine, database)
    return replace(installation, storage=timed_storage(installation.storage, storage))
