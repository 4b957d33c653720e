"""Tells event plugins what happened, without ever breaking or slowing a transfer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from loguru import logger

from eurydice_core.interfaces.event import EventListener
from eurydice_core.model.event import Event, EventKind
from eurydice_core.model.states import Side

__all__ = ["EventStream"]

MAX_WAITING = 10_000  # events; a listener that far behind is not keeping up
FLUSH_SECONDS = 5.0
"""How long a stopping service waits for its listeners."""


class EventStream:
    """Hands events to listeners, one after the other, from a thread of its own."""

    def __init__(self, side: Side, listeners: Sequence[EventListener]) -> None:
        self._side = side
        self._listeners = listeners
        self._waiting: queue.Queue[Event | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Events that no listener was told of, because too many were waiting."""
        if listeners:
            self._thread = threading.Thread(target=self._deliver, name="events", daemon=True)
            self._thread.start()

    def tell(
        self,
        kind: EventKind,
        *,
        username: str | None = None,
        transferable_id: object = None,
        **facts: str | int | None,
    ) -> None:
        """Report something that happened; returns at once."""
        if self._thread is None:
            return
        event = Event(
            kind=kind,
            at=datetime.now(UTC),
            side=self._side,
            username=username,
            transferable_id=None if transferable_id is None else str(transferable_id),
            facts=facts,
        )
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.dropped += 1
            if self.dropped.bit_count() == 1:  # 1, 2, 4, 8, ...: said, and not said too often
                logger.warning("{} events dropped: a listener does not keep up", self.dropped)

    def close(self) -> None:
        """Let listeners finish, for a short time, and free them."""
        if self._thread is None:
            return
        try:
            self._waiting.put(None, timeout=FLUSH_SECONDS)
        except queue.Full:
            logger.warning("stopping with {} events undelivered", self._waiting.qsize())
            return
        self._thread.join(FLUSH_SECONDS)

    def _deliver(self) -> None:
        while (event := self._waiting.get()) is not None:
            for listener in self._listeners:
                try:
                    listener.on_event(event)
                except Exception:  # a listener's bug is not the transfer's
                    logger.exception("event listener {} failed", type(listener).__name__)
        for listener in self._listeners:
            try:
                listener.close()
            except Exception:  # the same
                logger.exception("event listener {} failed to close", type(listener).__name__)
