"""What came first goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.testing.fakes.scheduler import MemoryPending
from eurydice_core.testing.scheduler import QueueBuilder, SchedulerConformance
from eurydice_scheduler_fifo import FifoScheduler, eurydice_scheduler


class TestFifoScheduler(SchedulerConformance):
    @pytest.fixture
    def scheduler(self) -> Scheduler:
        return FifoScheduler()


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=60),
    owners=st.lists(st.integers(0, 3), min_size=60, max_size=60),
    budget=st.integers(0, 100),
)
def test_packets_follow_the_order_of_arrival(sizes, owners, budget):
    build = QueueBuilder()
    users = [build.user() for _ in range(4)]
    ranges = [build.file(users[owners[i]], size)[0] for i, size in enumerate(sizes)]
    pending, scheduler, sent = MemoryPending({}, ranges), FifoScheduler(), []
    while len(pending):
        chosen = list(scheduler.select(pending, budget))
        assert len(chosen) == 1 or sum(item.size for item in chosen) <= budget
        pending.take(chosen)
        sent += chosen
    assert sent == ranges


def test_packet_ends_at_the_first_range_that_does_not_fit():
    build = QueueBuilder()
    user = build.user()
    small, large, late = (build.file(user, size)[0] for size in (10, 100, 10))
    pending = MemoryPending({}, [small, large, late])
    assert list(FifoScheduler().select(pending, 50)) == [small]


def test_plugin_creates_the_scheduler():
    plugin = eurydice_scheduler()
    assert isinstance(plugin.create(plugin.settings(), None), FifoScheduler)
