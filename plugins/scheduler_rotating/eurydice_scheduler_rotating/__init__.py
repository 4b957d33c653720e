"""Fair between users by bytes, and no huge file blocks a small one."""

from __future__ import annotations

from eurydice_core.hookspecs import SchedulerPlugin, hookimpl
from eurydice_scheduler_rotating.scheduler import RotatingScheduler, Settings

__all__ = ["RotatingScheduler", "Settings"]


@hookimpl
def eurydice_scheduler() -> SchedulerPlugin:
    """Offer turns between users."""
    return SchedulerPlugin(
        name="scheduler_rotating",
        summary="Fair between users by bytes, and no huge file blocks a small one.",
        settings=Settings,
        create=lambda settings, _: RotatingScheduler(settings),
    )
