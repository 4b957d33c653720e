"""What the origin knows of its sending: how much left, and how often the link took nothing."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from eurydice_core.db.engine import Database
from eurydice_core.db.notes import NoteKind, set_note
from eurydice_core.leases import Leases
from eurydice_core.model.clock import utc_now
from eurydice_core.origin.claims import SENDER
from eurydice_core.origin.plan import Load

__all__ = ["SenderWatch"]

RECORD_EVERY: Final = 5.0
"""Seconds between two records, also of nothing: that is the sender's sign of life."""


class SenderWatch:
    """Takes note of every packet, and of none."""

    def __init__(
        self,
        database: Database,
        leases: Leases,
        stream: uuid.UUID,
        counters: Callable[[], Mapping[str, int]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._leases = leases
        self._stream = stream
        self._counters = counters
        self._monotonic = monotonic
        self._recorded_at = float("-inf")
        self._counts: Counter[str] = Counter(packets=0, heartbeats=0, ranges=0, bytes=0, failures=0)

    def sent(self, load: Load) -> None:
        """Take note of a packet that the link took."""
        repeated = len(load.ranges) if load.again else 0
        self._counts.update(
            packets=1,
            heartbeats=int(load.is_empty),
            ranges=len(load.ranges) - repeated,
            ranges_again=repeated,
            bytes=sum(item.size for item in load.ranges),
            revocations=len(load.revocations),
            history_entries=len(load.history),
        )

    def failed(self) -> None:
        """Take note of a packet that the link did not take; it will be sent again."""
        self._counts["failures"] += 1

    def record(self) -> None:
        """Write down what is known, for metrics and health checks, unless it was a moment ago."""
        now = self._monotonic()
        if now - self._recorded_at < RECORD_EVERY:
            return
        place = self._leases.place(SENDER)
        with self._database.write(durable=False) as session:
            set_note(session, NoteKind.SENDER, place, self._noted())
        self._recorded_at = now

    def _noted(self) -> dict[str, Any]:
        return {
            "recorded_at": utc_now().isoformat(),
            "stream": str(self._stream),
            "sender": dict(self._counts),
            "transport": dict(self._counters()),
        }
