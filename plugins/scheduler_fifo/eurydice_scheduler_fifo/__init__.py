"""Oldest first."""

from __future__ import annotations

from collections.abc import Iterator

from eurydice_core.hookspecs import PluginSettings, SchedulerPlugin, hookimpl
from eurydice_core.interfaces.scheduler import Pending, Scheduler
from eurydice_core.model.queue import PendingRange

__all__ = ["FifoScheduler", "Settings"]


class Settings(PluginSettings):
    """None: there is nothing to choose about the order of arrival."""


class FifoScheduler(Scheduler):
    """Sends in the order of arrival, whoever it belongs to; it remembers nothing."""

    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        """Yield the oldest ranges up to the first that does not fit."""
        room = budget
        for count, item in enumerate(pending.ranges()):
            if count and item.size > room:
                return
            room -= item.size
            yield item


@hookimpl
def eurydice_scheduler() -> SchedulerPlugin:
    """Offer the order of arrival."""
    return SchedulerPlugin(
        name="scheduler_fifo",
        summary="Oldest first.",
        settings=Settings,
        create=lambda *_: FifoScheduler(),
    )
