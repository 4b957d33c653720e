"""What every scheduler must do, as tests to inherit."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

from eurydice_core.interfaces.scheduler import Pending, Scheduler
from eurydice_core.model.queue import PendingRange
from eurydice_core.testing.fakes.scheduler import MemoryPending
from eurydice_core.testing.kit import ConformanceKit

__all__ = ["QueueBuilder", "SchedulerConformance", "fill_packet"]

KIB = 1024
BUDGET = 64 * KIB


class QueueBuilder:
    """Makes the ranges of files, in the order in which they are queued."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 (the same queue in every run)
        self._ids = itertools.count(1)

    def user(self) -> uuid.UUID:
        """Return the id of a new user."""
        return self._uuid()

    def file(self, user_id: uuid.UUID, *sizes: int) -> list[PendingRange]:
        """Return the ranges of a file, with these sizes."""
        transferable_id, offset, ranges = self._uuid(), 0, []
        for size in sizes:
            ranges.append(
                PendingRange(
                    id=next(self._ids),
                    transferable_id=transferable_id,
                    user_id=user_id,
                    offset=offset,
                    size=size,
                    whole=len(sizes) == 1,
                )
            )
            offset += size
        return ranges

    def queue(self, users: int, files: int, sizes: Sequence[int]) -> MemoryPending:
        """Return a queue of random files: of one range, or of several."""
        ids = [self.user() for _ in range(users)]
        priorities = {user: self._random.randrange(4) for user in ids}
        ranges: list[PendingRange] = []
        for _ in range(files):
            count = self._random.choice((1, 1, 1, 2, 7))
            chosen = (self._random.choice(sizes) for _ in range(count))
            ranges += self.file(self._random.choice(ids), *chosen)
        return MemoryPending(priorities, ranges)

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)


class SchedulerConformance(ConformanceKit):
    """Packets are filled with what waits, once each, and everything gets its turn.

    A subclass gives a fixture `scheduler`: a new one, that has chosen nothing yet.
    """

    def test_nothing_is_chosen_where_nothing_waits(self, scheduler: Scheduler) -> None:
        assert fill_packet(scheduler, MemoryPending({}), BUDGET) == []

    @pytest.mark.parametrize("size", [0, 1, BUDGET, BUDGET + 1, 100 * BUDGET])
    def test_only_range_is_chosen_whatever_its_size(self, scheduler: Scheduler, size: int) -> None:
        build = QueueBuilder()
        ranges = build.file(build.user(), size)
        assert fill_packet(scheduler, MemoryPending({}, ranges), BUDGET) == ranges

    def test_one_range_is_chosen_where_there_is_no_room(self, scheduler: Scheduler) -> None:
        build = QueueBuilder()
        pending = MemoryPending({}, build.file(build.user(), KIB, KIB))
        assert len(fill_packet(scheduler, pending, 0)) == 1

    @pytest.mark.parametrize("seed", range(8))
    def test_everything_goes_once_and_files_in_order(self, scheduler: Scheduler, seed: int) -> None:
        sizes = (0, 1, KIB, 10 * KIB, BUDGET, 3 * BUDGET)
        pending = QueueBuilder(seed).queue(users=1 + seed, files=60, sizes=sizes)
        waiting = set(pending.ranges())
        sent = drain(scheduler, pending, BUDGET)
        assert len(sent) == len(waiting)
        assert set(sent) == waiting
        assert_files_in_order(sent)

    @pytest.mark.parametrize("seed", range(4))
    def test_no_range_is_offered_twice_in_a_packet(self, scheduler: Scheduler, seed: int) -> None:
        pending = QueueBuilder(seed).queue(users=3, files=40, sizes=(0, 1, KIB))
        chosen = list(scheduler.select(pending, 10**9))
        assert len(chosen) == len(set(chosen)) > 0
        assert set(chosen) <= set(pending.ranges())

    def test_range_that_was_not_sent_is_offered_again(self, scheduler: Scheduler) -> None:
        build = QueueBuilder()
        ranges = build.file(build.user(), KIB)
        pending = MemoryPending({}, ranges)
        for _ in range(5):
            assert fill_packet(scheduler, pending, BUDGET) == ranges

    def test_ranges_may_vanish_between_packets(self, scheduler: Scheduler) -> None:
        pending = QueueBuilder().queue(users=3, files=30, sizes=(KIB, BUDGET))
        while len(pending):
            assert fill_packet(scheduler, pending, BUDGET)
            pending.take(itertools.islice(list(pending.ranges()), 7))  # cancelled by users

    def test_selection_may_be_abandoned_at_once(self, scheduler: Scheduler) -> None:
        pending = QueueBuilder().queue(users=3, files=30, sizes=(KIB, BUDGET))
        waiting = len(pending)
        for _ in range(10):
            next(iter(scheduler.select(pending, BUDGET)))
        assert len(drain(scheduler, pending, BUDGET)) == waiting

    def test_long_queue_is_not_read_to_its_end(self, scheduler: Scheduler) -> None:
        build = QueueBuilder()
        users = [build.user() for _ in range(4)]
        ranges = [build.file(user, KIB)[0] for user in users * 2500]
        pending = MemoryPending({}, ranges)
        chosen = fill_packet(scheduler, pending, BUDGET)
        assert len(chosen) == BUDGET // KIB
        assert pending.pulled <= len(chosen) + 2 * len(users) + 2

    def test_many_users_cost_no_query_each(self, scheduler: Scheduler) -> None:
        build = QueueBuilder()
        pending = MemoryPending({}, [build.file(build.user(), KIB)[0] for _ in range(2000)])
        chosen = fill_packet(scheduler, pending, BUDGET)
        assert len(chosen) == BUDGET // KIB
        assert pending.pulled <= 2 * len(chosen)

    def test_every_user_gets_a_turn(self, scheduler: Scheduler) -> None:
        build = QueueBuilder()
        users = [build.user() for _ in range(50)]
        pending = MemoryPending({}, [build.file(user, BUDGET // 2)[0] for user in users])
        sent = drain(scheduler, pending, BUDGET)
        assert {item.user_id for item in sent} == set(users)


def fill_packet(scheduler: Scheduler, pending: Pending, budget: int) -> list[PendingRange]:
    """Return the ranges of one packet, taken as the core takes them."""
    chosen: list[PendingRange] = []
    room = budget
    selection = scheduler.select(pending, budget)
    for item in selection:
        if chosen and item.size > room:
            break
        chosen.append(item)
        room -= item.size
    return chosen


def drain(scheduler: Scheduler, pending: MemoryPending, budget: int) -> list[PendingRange]:
    """Return all that waits in the order of sending; a packet with nothing in it fails."""
    sent: list[PendingRange] = []
    while len(pending):
        chosen = fill_packet(scheduler, pending, budget)
        assert chosen, f"{len(pending)} ranges wait and none is chosen"
        pending.take(chosen)
        sent += chosen
    return sent


def assert_files_in_order(sent: Iterable[PendingRange]) -> None:
    """Fail if a later range of a file went before an earlier one."""
    ends: defaultdict[uuid.UUID, int] = defaultdict(int)
    for item in sent:
        assert item.offset == ends[item.transferable_id], item
        ends[item.transferable_id] += item.size
