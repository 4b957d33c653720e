"""Users share the link by weight, and small files do not wait for huge ones."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_core.interfaces.scheduler import Scheduler
from eurydice_core.testing.fakes.scheduler import MemoryPending
from eurydice_core.testing.scheduler import QueueBuilder, SchedulerConformance, fill_packet
from eurydice_scheduler_rotating import RotatingScheduler, Settings, eurydice_scheduler

KIB = 1024
MIB = 1024 * KIB


class TestRotatingScheduler(SchedulerConformance):
    @pytest.fixture
    def scheduler(self) -> Scheduler:
        return RotatingScheduler(Settings())


@pytest.fixture
def scheduler() -> RotatingScheduler:
    return RotatingScheduler(Settings())


@pytest.fixture
def build() -> QueueBuilder:
    return QueueBuilder()


def send_packet(scheduler, pending, budget=MIB):
    chosen = fill_packet(scheduler, pending, budget)
    pending.take(chosen)
    return chosen


def bytes_by_user(chosen):
    sent: Counter[uuid.UUID] = Counter()
    for item in chosen:
        sent[item.user_id] += item.size
    return sent


def busy(pending, users, enough):
    """Whether nobody runs out in the next packet; shares mean nothing otherwise."""
    waiting = [user.pending_bytes for user in pending.users()]
    return len(waiting) == users and min(waiting) > enough


@given(
    priorities=st.lists(st.integers(0, 9), min_size=2, max_size=6),
    largest=st.sampled_from([8 * KIB, 200 * KIB, MIB, 3 * MIB]),
    packet=st.sampled_from([0.4, 1, 5]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_busy_users_get_bytes_by_weight(priorities, largest, packet, seed):
    rng, build = random.Random(seed), QueueBuilder(seed)
    weights = {build.user(): 1 + priority for priority in priorities}
    pending = MemoryPending({user: weight - 1 for user, weight in weights.items()})
    scheduler, sent = RotatingScheduler(Settings()), Counter()
    for user in weights:
        for item in build.file(user, *(rng.randint(4 * KIB, largest) for _ in range(120))):
            pending.add(item)
    budget = int(packet * largest)
    while busy(pending, len(weights), 2 * budget):
        sent += bytes_by_user(send_packet(scheduler, pending, budget))
    assert set(sent) == set(weights)
    shares = [sent[user] / weight for user, weight in weights.items()]
    assert max(shares) - min(shares) <= 3 * largest


def test_tiny_files_are_not_free(scheduler, build):
    crowd, one = build.user(), build.user()
    tiny = [build.file(crowd, 0)[0] for _ in range(3000)]
    pending = MemoryPending({}, [*tiny, *build.file(one, *[4 * KIB] * 500)])
    chosen = send_packet(scheduler, pending, 400 * KIB)
    counts = Counter(item.user_id for item in chosen[:150])
    assert counts[one] == pytest.approx(counts[crowd], abs=2)


@pytest.mark.parametrize("same_user", [True, False])
@pytest.mark.parametrize("range_size", [100 * KIB, MIB, 5 * MIB])
def test_small_file_passes_a_huge_one(scheduler, build, same_user, range_size):
    busy = build.user()
    pending = MemoryPending({}, build.file(busy, *[range_size] * 300))
    for _ in range(7):
        send_packet(scheduler, pending)
    [small] = build.file(busy if same_user else build.user(), 10 * KIB)
    pending.add(small)
    packets = (send_packet(scheduler, pending) for _ in range(3))
    assert any(small in chosen for chosen in packets)


def test_huge_file_goes_on_beside_endless_small_ones(scheduler, build):
    huge, users = build.user(), [build.user() for _ in range(5)]
    pieces = build.file(huge, *[MIB] * 4)
    pending = MemoryPending({}, pieces)
    sent = []
    for _ in range(40):
        for user in [*users, huge]:
            for _ in range(40):
                pending.add(build.file(user, 10 * KIB)[0])
        sent += send_packet(scheduler, pending)
    assert set(pieces) <= set(sent)


def test_newcomers_in_every_packet_do_not_stop_a_large_range(scheduler, build):
    pieces = build.file(build.user(), *[MIB] * 3)
    pending = MemoryPending({}, pieces)
    sent = []
    for _ in range(8):
        pending.add(build.file(build.user(), KIB)[0])
        sent += send_packet(scheduler, pending)
    assert set(pieces) <= set(sent)


def test_large_range_that_does_not_fit_lets_smaller_ones_fill_the_packet(scheduler, build):
    [first], [large], [last] = (build.file(build.user(), size) for size in (900, 200, 100))
    pending = MemoryPending({}, [first, large, last])
    assert send_packet(scheduler, pending, 1000) == [first, last]
    assert send_packet(scheduler, pending, 1000) == [large]


def test_both_kinds_of_a_users_files_have_half_of_the_bytes(scheduler, build):
    user = build.user()
    small = [build.file(user, 64 * KIB)[0] for _ in range(400)]
    pending = MemoryPending({}, [*small, *build.file(user, *[MIB // 2] * 50)])
    sent = Counter()
    for _ in range(30):
        for item in send_packet(scheduler, pending):
            sent[item.whole] += item.size
    assert sent[True] == pytest.approx(sent[False], abs=MIB)


def test_lane_that_was_empty_saved_nothing_up(scheduler, build):
    user = build.user()
    pending = MemoryPending({}, [build.file(user, 64 * KIB)[0] for _ in range(400)])
    for _ in range(10):
        send_packet(scheduler, pending)
    for item in build.file(user, *[64 * KIB] * 100):
        pending.add(item)
    sent = Counter(item.whole for _ in range(4) for item in send_packet(scheduler, pending))
    assert sent[True] == pytest.approx(sent[False], abs=2)


def test_user_who_was_away_saved_nothing_up(scheduler, build):
    steady, away = build.user(), build.user()
    pending = MemoryPending({}, build.file(steady, *[64 * KIB] * 1000))
    pending.add(build.file(away, KIB)[0])
    for _ in range(20):
        send_packet(scheduler, pending)
    for item in build.file(away, *[64 * KIB] * 1000):
        pending.add(item)
    sent = Counter(item.user_id for _ in range(4) for item in send_packet(scheduler, pending))
    assert sent[steady] == pytest.approx(sent[away], abs=18)  # one packet at the very most


def test_user_who_was_alone_owes_nothing(scheduler, build):
    alone, late = build.user(), build.user()
    pending = MemoryPending({}, build.file(alone, *[64 * KIB] * 1000))
    for _ in range(20):
        send_packet(scheduler, pending)
    for item in build.file(late, *[64 * KIB] * 1000):
        pending.add(item)
    sent = Counter(item.user_id for _ in range(4) for item in send_packet(scheduler, pending))
    assert sent[alone] == pytest.approx(sent[late], abs=18)


def test_no_id_is_favoured_when_packets_drain_the_queue(scheduler, build):
    users = sorted(build.user() for _ in range(3))
    pending, sent = MemoryPending({}), Counter()
    for _ in range(300):  # three files come for every two that a packet takes
        waiting = {user.id for user in pending.users()}
        for user in users:
            if user not in waiting:
                pending.add(build.file(user, 400 * KIB)[0])
        sent += bytes_by_user(send_packet(scheduler, pending))
    assert max(sent.values()) - min(sent.values()) <= 400 * KIB


def test_equal_users_take_turns_from_the_start(scheduler, build):
    users = [build.user() for _ in range(4)]
    pending = MemoryPending({}, itertools.chain(*(build.file(u, *[10 * KIB] * 9) for u in users)))
    order = [item.user_id for item in send_packet(scheduler, pending)]
    assert [set(order[start : start + 4]) for start in range(0, 36, 4)] == [set(users)] * 9


def test_priority_may_change_between_packets(scheduler, build):
    user, other = build.user(), build.user()
    ranges = [*build.file(user, *[KIB * 16] * 999), *build.file(other, *[KIB * 16] * 999)]
    send_packet(scheduler, MemoryPending({}, ranges))
    sent = bytes_by_user(fill_packet(scheduler, MemoryPending({user: 3}, ranges), 5 * MIB))
    assert sent[user] / sent[other] == pytest.approx(4, rel=0.1)


def test_memory_does_not_grow_with_users_who_left(scheduler, build):
    steady = build.user()
    pending = MemoryPending({}, build.file(steady, *[10 * KIB] * 3000))
    for _ in range(300):
        pending.add(build.file(build.user(), 10 * KIB)[0])
        send_packet(scheduler, pending, 100 * KIB)
    assert len(scheduler._accounts) <= 5


def test_plugin_creates_the_scheduler():
    plugin = eurydice_scheduler()
    assert isinstance(plugin.create(plugin.settings(), None), RotatingScheduler)
