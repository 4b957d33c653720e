"""How often a user may begin an upload, whichever process is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eurydice_core.db.accounts import Accounts
from eurydice_core.db.engine import Database
from eurydice_core.errors import UploadsThrottled
from eurydice_core.model.quantities import Rate
from eurydice_core.model.states import Side
from eurydice_core.origin.throttle import UploadThrottle

START = datetime(2026, 1, 1, tzinfo=UTC)


class Gate:
    """A throttle with a clock in its hand."""

    def __init__(self, database, rate):
        self.database = database
        self.now = START
        self.throttle = UploadThrottle(database, rate, now=lambda _session: self.now)
        self.user = Accounts(database).add("alice").id

    def refused(self, user=None):
        """Return after how many seconds to come again, None for who is admitted."""
        try:
            self.throttle.admit(user or self.user)
        except UploadsThrottled as error:
            return error.retry_after
        return None


@pytest.fixture
def database(database_url):
    database = Database(database_url(Side.ORIGIN))
    yield database
    database.dispose()


def test_so_many_come_at_once_and_then_one_as_often_as_the_rate_says(database):
    gate = Gate(database, Rate(3, 60))
    assert [gate.refused() for _ in range(5)] == [None, None, None, 20, 20]
    gate.now += timedelta(seconds=19)
    assert gate.refused() == 1
    gate.now += timedelta(seconds=1)
    assert [gate.refused() for _ in range(2)] == [None, 20]
    gate.now += timedelta(days=3)
    assert [gate.refused() for _ in range(4)] == [None, None, None, 20]


def test_one_a_day_is_one_a_day(database):
    gate = Gate(database, Rate(1, 86400))
    assert [gate.refused() for _ in range(2)] == [None, 86400]
    gate.now += timedelta(days=1)
    assert gate.refused() is None


def test_users_do_not_count_for_each_other(database):
    gate = Gate(database, Rate(1, 60))
    bob = Accounts(database).add("bob").id
    assert [gate.refused(), gate.refused(bob), gate.refused(), gate.refused(bob)] == [
        None,
        None,
        60,
        60,
    ]


def test_without_a_rate_everybody_is_admitted(database):
    gate = Gate(database, None)
    assert {gate.refused() for _ in range(100)} == {None}


def test_the_largest_rates_fit_the_database(database):
    for name, rate in (("a", Rate(999_999, 1)), ("b", Rate(999_999, 86400)), ("c", Rate(1, 1))):
        user = Accounts(database).add(name).id
        UploadThrottle(database, rate).admit(user)
        UploadThrottle(database, Rate(999_999, 86400)).admit(user)


def test_processes_count_together(database):
    gate = Gate(database, Rate(30, 86400))
    others = [
        UploadThrottle(database, Rate(30, 86400), now=lambda _session: START) for _ in range(4)
    ]

    def try_often(throttle):
        admitted = 0
        for _ in range(15):
            try:
                throttle.admit(gate.user)
                admitted += 1
            except UploadsThrottled:
                pass
        return admitted

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_often, others)) == 30


def test_a_process_whose_clock_is_behind_gives_nothing_away(database):
    gate = Gate(database, Rate(2, 60))
    assert [gate.refused() for _ in range(3)] == [None, None, 30]
    gate.now -= timedelta(seconds=10)
    assert gate.refused() == 40


@given(
    st.integers(1, 7),
    st.sampled_from([1, 60]),
    st.lists(st.floats(0, 40, allow_nan=False), min_size=1, max_size=40),
)
@example(5, 60, [0.0] * 40)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_stretch_of_time_has_more_than_its_share(sqlite_database, count, seconds, gaps):
    database = Database(sqlite_database(Side.ORIGIN))
    try:
        gate = Gate(database, Rate(count, seconds))
        admitted = []
        for gap in gaps:
            gate.now += timedelta(seconds=gap)
            wait = gate.refused()
            if wait is None:
                admitted.append(gate.now)
                continue
            # Who comes back when told is admitted: that promise is part of the answer.
            gate.now += timedelta(seconds=wait)
            assert gate.refused() is None
            admitted.append(gate.now)
    finally:
        database.dispose()
    step = timedelta(seconds=seconds) / count
    for first, begin in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            share = count + (end - begin + timedelta(milliseconds=1)) / step
            assert last - first + 1 <= share


@given(st.integers(1, 50), st.integers(1, 60))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_who_keeps_to_the_rate_is_never_refused(sqlite_database, count, uploads):
    database = Database(sqlite_database(Side.ORIGIN))
    try:
        gate = Gate(database, Rate(count, 60))
        for _ in range(uploads):
            assert gate.refused() is None
            gate.now += timedelta(seconds=60 / count)
    finally:
        database.dispose()


def test_step_of_the_clock_back_locks_nobody_out(database):
    gate = Gate(database, Rate(3, 60))
    assert [gate.refused() for _ in range(4)] == [None, None, None, 20]
    gate.now -= timedelta(hours=1)
    assert [gate.refused() for _ in range(4)] == [None, None, None, 20]
    gate.now += timedelta(days=1)
    assert [gate.refused() for _ in range(4)] == [None, None, None, 20]
