"""Wrong passwords: counted for everybody alike, until none is looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger
from sqlalchemy import func, select

from eurydice_core.db.engine import Database
from eurydice_core.db.lockout import NAMES, Lockout, LockoutRules
from eurydice_core.db.tables import SignInFailures
from eurydice_core.model.states import Side

RULES = LockoutRules(attempts=3, window=60, duration=20)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Door:
    """A lockout with a clock in its hand."""

    def __init__(self, database, rules=RULES):
        self.database = database
        self.now = START
        self.lockout = Lockout(database, rules, now=lambda _session: self.now)

    def fail(self, name="alice", address="10.0.0.1"):
        self.lockout.note_failure(name, address)

    def left(self, name="alice", address="10.0.0.1"):
        with self.database.read() as session:
            return self.lockout.standing(session, name, address).seconds

    def rows(self):
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(SignInFailures))


@pytest.fixture
def door(database):
    return Door(database)


def test_too_many_failures_lock_a_name_at_an_address_for_a_while(door):
    for _ in range(2):
        door.fail()
        assert door.left() == 0
    door.fail()
    assert door.left() == 20
    assert door.left("bob") == door.left(address="10.0.0.2") == 0
    door.now += timedelta(seconds=19)
    assert door.left() == 1
    door.now += timedelta(seconds=1)
    assert door.left() == 0
    door.fail()
    assert door.left() == 0  # it starts anew


def test_failures_that_are_far_apart_lock_nobody(door):
    for _ in range(10):
        door.fail()
        door.now += timedelta(seconds=31)
        assert door.left() == 0


def test_a_success_forgets_the_failures_of_its_name(door):
    for _ in range(5):
        door.fail()
        door.fail()
        door.lockout.forget("alice", "10.0.0.1")
        assert door.left() == 0


def test_an_address_may_not_try_all_names(door):
    for number in range(3 * NAMES - 1):
        door.fail(f"user{number}")
        door.lockout.forget("its own", "10.0.0.1")
    assert door.left("anybody") == 0
    door.fail("one more")
    assert door.left("anybody") == 20
    assert door.left("anybody", "10.0.0.2") == 0


def test_addresses_of_one_ipv6_network_are_one(door):
    for host in ("1", "2", "ffff:3"):
        door.fail(address=f"2001:db8:0:7::{host}")
    assert door.left(address="2001:db8:0:7::9") == 20
    assert door.left(address="2001:db8:0:8::9") == 0
    for address in ("10.0.0.7", "::ffff:10.0.0.7", "10.0.0.7"):
        door.fail(address=address)
    assert door.left(address="10.0.0.7") == 20


def test_what_ended_is_forgotten(door):
    for number in range(20):
        door.fail(f"user{number}")
    assert door.rows() == 21
    door.now += timedelta(seconds=60)
    door.fail("last")
    assert door.rows() == 2


def test_one_attempt_may_be_the_only_one(database):
    door = Door(database, LockoutRules(attempts=1, window=60, duration=20))
    door.fail()
    assert door.left() == 20
    door.now += timedelta(seconds=20)
    assert door.left() == 0
    door.fail()
    assert door.left() == 20


def test_a_lockout_is_one_line_in_the_log(door):
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]))
    try:
        for _ in range(7):
            door.fail("alice\nforged line")
    finally:
        logger.remove(sink)
    assert lines == [
        "too many wrong passwords for user name 'alice\\nforged line' at 10.0.0.1:"
        " none is looked at for 20 seconds"
    ]


def test_failures_in_many_processes_count_together(database):
    doors = [Door(database, LockoutRules(attempts=40, window=60, duration=20)) for _ in range(4)]

    def fail_often(door):
        for _ in range(10):
            door.fail()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail_often, doors[:3]))
        list(pool.map(fail_often, doors[3:]))
    assert doors[0].left() == 20


steps = st.lists(
    st.tuples(st.sampled_from(["fail", "succeed", "wait"]), st.integers(1, 45)), max_size=30
)


@given(steps)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_lockout_is_a_small_state_machine(sqlite_database, steps):
    """Compare it with one that keeps a count and a moment in memory."""
    database = Database(sqlite_database(Side.ORIGIN))
    door, count, ends_at = Door(database), 0, START
    try:
        for step, amount in steps:
            if door.now >= ends_at:
                count = 0
            locked = count >= RULES.attempts
            assert door.left() == ((ends_at - door.now).total_seconds() if locked else 0)
            if step == "wait":
                door.now += timedelta(seconds=amount)
            elif locked:
                continue  # nobody is asked meanwhile
            elif step == "succeed":
                door.lockout.forget("alice", "10.0.0.1")
                count = 0
            else:
                door.fail()
                count += 1
                if count == 1:
                    ends_at = door.now + timedelta(seconds=RULES.window)
                if count == RULES.attempts:
                    ends_at = door.now + timedelta(seconds=RULES.duration)
    finally:
        database.dispose()


def test_step_of_the_clock_back_prolongs_no_lockout(door):
    for _ in range(3):
        door.fail()
    assert door.left() == 20
    door.now -= timedelta(hours=1)
    assert door.left() == 0
    for _ in range(2):
        door.fail()
        assert door.left() == 0  # counting began anew
    door.fail()
    assert door.left() == 20


def test_real_clock_of_the_database_is_used(database):
    lockout = Lockout(database, LockoutRules(attempts=1, window=60, duration=60))
    lockout.note_failure("alice", "10.0.0.1")
    with database.read() as session:
        assert 0 < lockout.standing(session, "alice", "10.0.0.1").seconds <= 60
