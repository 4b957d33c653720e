"""A queue in memory, for schedulers to choose from."""

from __future__ import annotations

import heapq
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter

from eurydice_core.interfaces.scheduler import Pending
from eurydice_core.model.queue import PendingRange, WaitingUser

__all__ = ["MemoryPending"]

FIRST_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


class MemoryPending(Pending):
    """A queue that counts what is read from it.

    Args:
        priorities: of each user; 0 for one that is not in it.
        ranges: what waits; one with a smaller id was queued earlier, a second for each.
    """

    def __init__(
        self, priorities: Mapping[uuid.UUID, int], ranges: Iterable[PendingRange] = ()
    ) -> None:
        self._priorities = dict(priorities)
        self._lanes: defaultdict[tuple[uuid.UUID, bool], dict[int, PendingRange]]
        self._lanes = defaultdict(dict)
        self.pulled = 0
        """How many ranges were read from the queue."""
        for item in sorted(ranges, key=attrgetter("id")):
            self.add(item)

    def add(self, item: PendingRange) -> None:
        """Queue a range; its id must be greater than those before."""
        self._lanes[item.user_id, item.whole][item.id] = item

    def take(self, items: Iterable[PendingRange]) -> None:
        """Remove ranges from the queue, as the core does once they were sent."""
        for item in items:
            lane = self._lanes[item.user_id, item.whole]
            del lane[item.id]
            if not lane:
                del self._lanes[item.user_id, item.whole]

    def users(self) -> Sequence[WaitingUser]:
        """Return the users with something waiting, by id."""
        return [self._user(user_id) for user_id in sorted({user for user, _ in self._lanes})]

    def ranges(
        self, user_id: uuid.UUID | None = None, *, whole: bool | None = None
    ) -> Iterator[PendingRange]:
        """Yield waiting ranges, oldest first, and count them."""
        lanes = [
            lane.values()
            for (user, kind), lane in self._lanes.items()
            if user_id in (None, user) and whole in (None, kind)
        ]
        for item in heapq.merge(*lanes, key=attrgetter("id")):
            self.pulled += 1
            yield item

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def _user(self, user_id: uuid.UUID) -> WaitingUser:
        lanes = [self._lanes.get((user_id, whole), {}) for whole in (True, False)]
        oldest = min(next(iter(lane)) for lane in lanes if lane)
        return WaitingUser(
            id=user_id,
            priority=self._priorities.get(user_id, 0),
            pending_bytes=sum(item.size for item in chain(*(lane.values() for lane in lanes))),
            oldest=FIRST_MOMENT + timedelta(seconds=oldest),
        )
