"""The queue in memory is one, and the kit finds schedulers that break their promises."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from eurydice_core.interfaces.scheduler import Pending, Scheduler
from eurydice_core.model.queue import PendingRange
from eurydice_core.testing.fakes.scheduler import MemoryPending
from eurydice_core.testing.scheduler import QueueBuilder, SchedulerConformance, fill_packet


class OldestFirst(Scheduler):
    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        return pending.ranges()


class Forgetful(Scheduler):
    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        return (item for item in pending.ranges() if item.size <= budget)


class Greedy(Scheduler):
    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        return iter(list(pending.ranges()))


class Backwards(Scheduler):
    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        return reversed(list(pending.ranges()))


class TestOldestFirst(SchedulerConformance):
    @pytest.fixture
    def scheduler(self) -> Scheduler:
        return OldestFirst()


@pytest.mark.parametrize(
    ("scheduler", "test"),
    [
        (Forgetful(), "test_everything_goes_once_and_files_in_order"),
        (Backwards(), "test_everything_goes_once_and_files_in_order"),
    ],
)
def test_kit_finds_who_starves_or_mixes_files(scheduler: Scheduler, test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(SchedulerConformance(), test)(scheduler, seed=0)


def test_kit_finds_who_reads_the_whole_queue() -> None:
    with pytest.raises(AssertionError):
        SchedulerConformance().test_long_queue_is_not_read_to_its_end(Greedy())


def test_queue_is_read_by_user_and_by_kind() -> None:
    build = QueueBuilder()
    alice, bob = build.user(), build.user()
    [small], big, [other] = build.file(alice, 1), build.file(alice, 2, 3), build.file(bob, 4)
    pending = MemoryPending({alice: 2}, [other, *big, small])
    assert list(pending.ranges()) == [small, *big, other]
    assert list(pending.ranges(alice)) == [small, *big]
    assert list(pending.ranges(alice, whole=False)) == big
    assert list(pending.ranges(whole=True)) == [small, other]
    assert list(pending.ranges(uuid.uuid4())) == []


def test_users_are_those_with_something_waiting() -> None:
    build = QueueBuilder()
    alice, bob = build.user(), build.user()
    ranges = [*build.file(alice, 1), *build.file(bob, 4), *build.file(alice, 2, 3)]
    pending = MemoryPending({alice: 2}, ranges)
    found = {user.id: (user.priority, user.pending_bytes) for user in pending.users()}
    assert found == {alice: (2, 6), bob: (0, 4)}
    assert [user.id for user in pending.users()] == sorted((alice, bob))
    pending.take(fill_packet(OldestFirst(), pending, 5))
    assert [user.id for user in pending.users()] == [alice]
