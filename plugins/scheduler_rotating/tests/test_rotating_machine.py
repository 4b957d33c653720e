"""Whatever comes, goes, is cancelled or is not sent: everything gets its turn, once, in order."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eurydice_core.testing.fakes.scheduler import MemoryPending
from eurydice_core.testing.scheduler import QueueBuilder, fill_packet
from eurydice_scheduler_rotating import RotatingScheduler, Settings

BUDGET = 100
USERS = 4


class RotatingMachine(RuleBasedStateMachine):
    """Plays the core: queues, sends, fails to send, cancels."""

    def __init__(self) -> None:
        super().__init__()
        self.build = QueueBuilder()
        self.users = [self.build.user() for _ in range(USERS)]
        self.pending = MemoryPending(dict(zip(self.users, (0, 0, 1, 7), strict=True)))
        self.scheduler = RotatingScheduler(Settings(min_cost=8))

    @rule(
        user=st.integers(0, USERS - 1),
        sizes=st.lists(st.sampled_from([0, 1, 30, 99, 100, 101, 500]), min_size=1, max_size=4),
    )
    def submit(self, user: int, sizes: list[int]) -> None:
        for item in self.build.file(self.users[user], *sizes):
            self.pending.add(item)

    @rule(link_up=st.booleans())
    def send(self, link_up: bool) -> None:
        waiting = list(self.pending.ranges())
        chosen = list(self.scheduler.select(self.pending, BUDGET))
        assert bool(chosen) == bool(waiting)
        assert len(set(chosen)) == len(chosen)
        assert len(chosen) == 1 or sum(item.size for item in chosen) <= BUDGET
        lanes = defaultdict(list)
        for item in chosen:
            lanes[item.user_id, item.whole].append(item)
        for (user, whole), items in lanes.items():
            oldest = [item for item in waiting if (item.user_id, item.whole) == (user, whole)]
            assert items == oldest[: len(items)]
        if link_up:
            self.pending.take(chosen)

    @rule(count=st.integers(0, 3))
    def stop_in_the_middle(self, count: int) -> None:
        selection = self.scheduler.select(self.pending, BUDGET)
        for _ in range(count):
            next(selection, None)

    @rule(user=st.integers(0, USERS - 1))
    def cancel(self, user: int) -> None:
        self.pending.take(list(self.pending.ranges(self.users[user])))

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.scheduler._accounts) <= USERS

    def teardown(self) -> None:
        for _ in range(len(self.pending)):
            self.pending.take(fill_packet(self.scheduler, self.pending, BUDGET))
        assert len(self.pending) == 0


TestRotatingMachine = RotatingMachine.TestCase
TestRotatingMachine.settings = settings(max_examples=60, deadline=None)
