from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_core.model.pace import MAX_BURST, Pace

EPSILON = 1e-6


class Time:
    """A clock that moves only when somebody sleeps, and oversleeps by as much as told."""

    def __init__(self, oversleep: float = 0.0) -> None:
        self.now = 100.0
        self.oversleep = oversleep

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.oversleep


def sent_in(seconds: float, pace: Pace, time: Time, size: int) -> int:
    end = time.now + seconds
    sent = 0
    while True:
        pace.take(size)
        if time.now >= end:
            return sent
        sent += size


@pytest.mark.parametrize("rate", [1, 100, 1000, 10_000])
@pytest.mark.parametrize("oversleep", [0.0, 0.0005])
def test_rate_is_kept_within_three_percent_over_ten_seconds(rate: float, oversleep: float) -> None:
    time = Time(oversleep)
    pace = Pace(rate, clock=time.clock, sleep=time.sleep)
    size = pace.datagrams_at_once(1476, 45) * 1476
    assert sent_in(10, pace, time, size) == pytest.approx(rate * 125_000 * 10, rel=0.03)


@pytest.mark.parametrize("rate", [10, 1000, 40_000])
def test_idle_time_is_not_saved_up(rate: float) -> None:
    time = Time()
    pace = Pace(rate, clock=time.clock, sleep=time.sleep)
    time.now += 3600
    assert sent_in(1e-9, pace, time, 1000) <= min(MAX_BURST, rate * 1250) + 2000


def test_zero_is_no_limit() -> None:
    time = Time()
    pace = Pace(0, clock=time.clock, sleep=time.sleep)
    for _ in range(1000):
        pace.take(1 << 30)
    assert time.now == 100.0
    assert pace.datagrams_at_once(1476, 45) == 45


@pytest.mark.parametrize(("rate", "datagrams"), [(1, 1), (100, 16), (1000, 45)])
def test_slow_links_get_small_bursts(rate: float, datagrams: int) -> None:
    assert Pace(rate).datagrams_at_once(1476, 45) == datagrams


class JumpingTime:
    """True time, and a clock that is read late and may step either way."""

    def __init__(self, reads: Sequence[tuple[float, float]]) -> None:
        self.true = 0.0
        self.offset = 0.0
        self.slept: list[float] = []
        self.steps_forward = 0
        self._reads = itertools.cycle(reads)

    def clock(self) -> float:
        late, step = next(self._reads)
        self.true += late
        self.offset += step
        self.steps_forward += step > 0
        return self.true + self.offset

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.true += seconds


lateness = st.one_of(st.just(0.0), st.floats(0, 0.1))
step = st.one_of(st.just(0.0), st.floats(-100_000, 100_000))


@given(
    reads=st.lists(st.tuples(lateness, step), min_size=1, max_size=20),
    rate=st.floats(1, 40_000),
    sizes=st.lists(st.integers(1, 256 * 1024), min_size=1, max_size=60),
)
@settings(deadline=None)
def test_pace_holds_for_any_clock(
    reads: list[tuple[float, float]], rate: float, sizes: list[int]
) -> None:
    time = JumpingTime(reads)
    pace = Pace(rate, clock=time.clock, sleep=time.sleep)
    began = time.true
    bytes_per_second = rate * 125_000
    for previous, size in zip([0, *sizes], sizes, strict=False):
        waits = len(time.slept)
        pace.take(size)
        longest = max(time.slept[waits:], default=0.0)
        assert longest <= previous / bytes_per_second + EPSILON
    needed = sum(sizes) / bytes_per_second
    assert sum(time.slept) <= needed + EPSILON * len(sizes)
    # A step forward seems to be idle time: it ends the wait for one packet and grants a burst.
    bursts = 1 + time.steps_forward
    allowed = (time.true - began) + bursts * (0.01 + max(sizes) / bytes_per_second)
    assert needed <= allowed + EPSILON * len(sizes)


@given(
    late=st.floats(0, 0.003),
    rate=st.sampled_from([10.0, 900.0, 10_000.0]),
    size=st.integers(1400, 65_536),
)
@settings(deadline=None, max_examples=30)
def test_long_run_rate_is_right_on_a_slow_machine(late: float, rate: float, size: int) -> None:
    size = max(size, int(rate * 125_000 * late))  # a machine that is fast enough for the rate
    time = JumpingTime([(late, 0.0)])
    pace = Pace(rate, clock=time.clock, sleep=time.sleep)
    for _ in range(2000):
        pace.take(size)
    expected = 2000 * size / (rate * 125_000)
    assert time.true == pytest.approx(expected, rel=0.02, abs=0.02)
