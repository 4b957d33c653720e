"""Steps of the wall clock end nothing early and prolong nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from eurydice_core.model.clock import ChangeAges, SteadyClock, steady_seconds, utc_now

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86400.0


class Machine:
    def __init__(self):
        self.wall, self.uptime = START, 50.0

    def steady(self):
        return self.uptime

    def run(self, seconds):
        self.wall += timedelta(seconds=seconds)
        self.uptime += seconds

    def clock(self):
        return SteadyClock(lambda: self.wall, steady=self.steady)


def test_clock_that_jumps_a_day_forward_makes_nothing_old():
    machine = Machine()
    clock = machine.clock()
    machine.wall += timedelta(days=1)
    machine.run(3600)
    assert clock() == START + timedelta(hours=1)


def test_step_forward_counts_once_it_lasted_for_a_day():
    machine = Machine()
    clock = machine.clock()
    machine.wall += timedelta(days=3)
    clock()
    machine.run(DAY - 1)
    assert clock() == START + timedelta(seconds=DAY - 1)
    machine.run(1)
    assert clock() == machine.wall


def test_step_forward_that_is_taken_back_has_no_effect():
    machine = Machine()
    clock = machine.clock()
    for _ in range(5):
        machine.wall += timedelta(days=1)
        clock()
        machine.run(DAY / 2)
        clock()
        machine.wall -= timedelta(days=1)
        assert clock() == machine.wall


def test_step_back_is_followed_at_once():
    machine = Machine()
    clock = machine.clock()
    machine.wall -= timedelta(hours=1)
    assert clock() == machine.wall


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 3600)), max_size=20))
def test_clock_is_never_ahead_of_wall_clock_or_of_time_that_passed(steps):
    machine = Machine()
    clock = machine.clock()
    passed = 0.0
    for step, seconds in steps:
        machine.wall += timedelta(seconds=step)
        clock()
        machine.run(seconds)
        passed += seconds
        if passed < DAY:
            assert clock() <= START + timedelta(seconds=passed + len(steps) + 1)
        assert clock() <= machine.wall + timedelta(seconds=1)


def test_real_clocks_agree():
    clock = SteadyClock()
    assert abs(clock() - utc_now()) < timedelta(seconds=1)
    assert steady_seconds() <= steady_seconds()


def test_value_ages_on_the_clock_of_who_looks():
    machine = Machine()
    ages = ChangeAges(steady=machine.steady)
    assert ages.age("x", 1) == 0
    machine.run(10)
    assert ages.age("x", 1) == 10
    assert ages.age("x", 2) == 0
    assert ages.age("y", 1, first=60) == 60
    assert ages.age("z", 1, first=-3600) == 0
    ages.keep({"x"})
    assert ages.age("y", 1) == 0
