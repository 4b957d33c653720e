"""What the next packet carries: new data first, then news, then what is sent once more."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from eurydice_core.db.facts import MAINTENANCE, get_fact
from eurydice_core.installation import Installation
from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.model.clock import Clock
from eurydice_core.model.queue import PendingRange
from eurydice_core.origin.claims import Claims
from eurydice_core.origin.history import History
from eurydice_core.origin.queue import Queue
from eurydice_core.protocol.elements import Revocation, TransferablePart

__all__ = ["Load", "Planner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one packet carries; nothing at all makes it a heartbeat."""

    ranges: Sequence[PendingRange] = ()
    again: bool = False
    """Whether the ranges were sent before."""
    revocations: Sequence[tuple[int, Revocation]] = ()
    """With the number of their row."""
    history: Sequence[TransferablePart] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it carries nothing."""
        return not (self.ranges or self.revocations or self.history)


class Planner:
    """Asks the scheduler for new data, and fills an idle link with repeats."""

    def __init__(
        self,
        installation: Installation,
        scheduler: Scheduler,
        queue: Queue,
        claims: Claims,
        history: History,
        now: Clock,
    ) -> None:
        settings = installation.settings.sender
        self._database = installation.database
        self._scheduler = scheduler
        self._queue = queue
        self._claims = claims
        self._history = history
        self._now = now
        self._budget = settings.packet_size
        self._max_ranges = settings.max_ranges_per_packet
        self._repeats = settings.repeat > 1
        self._repeat_after = timedelta(seconds=settings.repeat_after)

    def plan(self, in_flight: Load | None = None) -> Load:
        """Return what goes next, and is not on its way already."""
        with self._database.read() as session:
            if get_fact(session, MAINTENANCE):
                return Load()
        before = in_flight or Load()
        self._claims.look()
        news = Load(
            revocations=[] if before.revocations else self._queue.revocations(),
            history=[] if before.history else self._history.due(self._now()),
        )
        # Claimed last: nothing else can fail then, and leave it claimed for nothing.
        load = replace(news, ranges=self._choose())
        if load.is_empty and self._repeats and not before.again:
            return Load(ranges=self._choose_again(), again=True)
        return load

    def is_full(self, load: Load) -> bool:
        """Tell whether a packet carries about as much as it can."""
        size = sum(item.size for item in load.ranges)
        return 2 * size >= self._budget or len(load.ranges) >= self._max_ranges

    def give_back(self, load: Load) -> None:
        """Let others send what this sender did not."""
        if load.ranges:
            self._claims.let_go(load.ranges)

    def _choose(self) -> list[PendingRange]:
        """Claim what goes next; where other senders were faster with all of it, choose again."""
        while chosen := self._selected():
            if claimed := self._claims.take(chosen, again=False):
                return _side_by_side(claimed)
        return []

    def _selected(self) -> list[PendingRange]:
        """Ask the scheduler what goes next, as much as fits into a packet."""
        chosen: list[PendingRange] = []
        size = 0
        with self._queue.pending() as pending:
            for item in self._scheduler.select(pending, self._budget):
                size += item.size
                if chosen and size > self._budget:
                    break
                chosen.append(item)
                if size >= self._budget or len(chosen) >= self._max_ranges:
                    break
        return chosen

    def _choose_again(self) -> list[PendingRange]:
        due = self._now() - self._repeat_after
        chosen = self._queue.due_again(due, self._budget, self._max_ranges)
        return _side_by_side(self._claims.take(chosen, again=True))


def _side_by_side(chosen: Sequence[PendingRange]) -> list[PendingRange]:
    """Bring ranges of one file together: they share the description of their file."""
    first: dict[uuid.UUID, int] = {}
    for place, item in enumerate(chosen):
        first.setdefault(item.transferable_id, place)
    return sorted(chosen, key=lambda item: first[item.transferable_id])
