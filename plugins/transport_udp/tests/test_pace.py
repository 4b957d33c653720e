from __future__ import annotations

import pytest

from eurydice_transport_udp.pace import MAX_BURST, Pace


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
