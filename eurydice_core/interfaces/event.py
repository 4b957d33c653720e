"""Who wants to know what happens."""

from __future__ import annotations

from abc import ABC, abstractmethod

from eurydice_core.model.event import Event

__all__ = ["EventListener"]


class EventListener(ABC):
    """Is told of events, after the fact: an audit trail, a notification."""

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Take note of an event.

        Called one at a time, from a thread of its own: it may block without slowing a
        transfer. What it raises is logged and forgotten; while it is stuck, up to a
        bounded number of events wait for it and newer ones are dropped and counted.
        """

    def close(self) -> None:  # noqa: B027 (most listeners hold nothing)
        """Free what is held; called once, when the service stops."""
