from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_core.link.calibrate import SentStep, receive_sweep, send_sweep
from eurydice_core.link.sweep import (
    OVERHEAD,
    Mark,
    StepResult,
    Sweep,
    SweepReceiver,
    highest,
    read_mark,
    write_packet,
)
from eurydice_core.testing.fakes.transport import MemoryTransport

SWEEP = Sweep(100, 400, 3, 1.0)
RUN = bytes(16)
SWEEPS = st.builds(
    Sweep,
    lowest=st.floats(1, 1000),
    highest=st.floats(1000, 100_000),
    steps=st.integers(1, 50),
    seconds=st.floats(0.05, 2),
)


def packet(step: int, number: int, before: int = 0, seconds: float = 1.0, *, over: bool = False):
    return write_packet(Mark(RUN, SWEEP, step, number, before, seconds, over), 1000)


def taken(packets, counters=None) -> SweepReceiver:
    receiver = SweepReceiver()
    for one in packets:
        receiver.take(one, counters or {})
    return receiver


@given(SWEEPS, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_mark_is_read_as_it_was_written(sweep: Sweep, number: int, before: int) -> None:
    mark = Mark(bytes(range(16)), sweep, sweep.steps - 1, number, before, 0.5)
    assert read_mark(write_packet(mark, OVERHEAD + 100)) == mark


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_what_is_no_mark_is_none(noise: bytes) -> None:
    assert read_mark(noise) is None


@given(st.data())
@settings(deadline=None)
def test_damaged_packet_is_none(data: st.DataObject) -> None:
    damaged = bytearray(packet(0, 0))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    assert read_mark(damaged) is None


@pytest.mark.parametrize(
    "sweep",
    [
        Sweep(0, 100, 3, 1.0),
        Sweep(-1, 100, 3, 1.0),
        Sweep(200, 100, 3, 1.0),
        Sweep(float("nan"), 100, 3, 1.0),
        Sweep(1, float("inf"), 3, 1.0),
        Sweep(1, 100, 0, 1.0),
        Sweep(1, 100, 3, 100.0),
    ],
    ids=str,
)
def test_sweep_that_cannot_be_is_refused(sweep: Sweep) -> None:
    assert read_mark(write_packet(Mark(RUN, sweep, 0, 0, 0, 0.0), 1000)) is None


@given(SWEEPS)
@settings(deadline=None)
def test_rates_grow_from_the_lowest_to_the_highest(sweep: Sweep) -> None:
    rates = [sweep.rate(step) for step in range(sweep.steps)]
    assert rates == sorted(rates)
    assert rates[0] == sweep.lowest
    if sweep.steps > 1:
        assert rates[-1] == pytest.approx(sweep.highest)
    assert all(sweep.packets(step) >= 1 for step in range(sweep.steps))


def test_what_arrived_whole_is_told_when_the_next_rate_begins() -> None:
    receiver = SweepReceiver()
    size = SWEEP.packet_size(0)
    for number in range(3):
        assert receiver.take(packet(0, number), {}) == []
    (step,) = receiver.take(packet(1, 0, before=3, seconds=3 * size / 1e7), {})
    assert (step.rate, step.sent, step.received, step.bytes) == (100, 3, 3, 3000)
    assert step.is_whole
    assert step.is_lossless


def test_packets_that_did_not_come_are_known_from_the_next_rate() -> None:
    receiver = taken([packet(0, 0), packet(0, 2), packet(1, 0, before=5)])
    assert (receiver.results[0].sent, receiver.results[0].received) == (5, 2)
    assert not receiver.results[0].is_whole


def test_rate_of_which_nothing_came_is_no_good_rate() -> None:
    receiver = SweepReceiver()
    receiver.take(packet(0, 0), {})
    ended = receiver.take(packet(2, 0, before=4), {})
    assert [step.received for step in ended] == [1, 0]
    assert not ended[1].is_whole


def test_packets_that_come_twice_count_once() -> None:
    assert taken([packet(0, 0), packet(0, 0)]).results[0].received == 1


def test_end_of_the_sweep_is_the_end_and_untried_rates_are_not_told() -> None:
    receiver = taken([packet(0, 0), packet(1, 0, before=1, over=True)])
    assert receiver.is_over
    assert len(receiver.results) == 1
    assert receiver.rest() == []


def test_sweep_that_breaks_off_tells_what_came() -> None:
    receiver = taken([packet(0, 0), packet(1, 0, before=1)])
    assert [step.received for step in receiver.rest()] == [1, 0]


def test_other_packets_and_other_sweeps_change_nothing() -> None:
    other = write_packet(Mark(bytes([1] * 16), SWEEP, 2, 0, 0, 0.0), 1000)
    receiver = taken([packet(0, 0), b"EURYDICE and more", other])
    assert [step.received for step in receiver.results] == [1, 0, 0]


def test_what_the_transport_counted_belongs_to_the_rate_at_which_it_happened() -> None:
    receiver = SweepReceiver()
    receiver.take(packet(0, 0), {"repaired": 2})
    receiver.take(None, {"repaired": 3})
    receiver.take(packet(1, 0, before=1), {"repaired": 10})
    assert [step.counted.get("repaired") for step in receiver.results] == [3, 7, None]


def test_rate_the_sender_did_not_reach_is_told_as_what_it_reached() -> None:
    size = SWEEP.packet_size(0)
    receiver = taken([packet(0, 0), packet(1, 0, before=1, seconds=size * 1.25 / 125_000 / 20)])
    assert receiver.results[0].rate == pytest.approx(20)


def test_highest_rate_has_only_good_ones_below_it() -> None:
    def step(rate: float, received: int, repaired: int = 0) -> StepResult:
        return StepResult(rate, 4, received, 0, {"repaired": repaired})

    results = [step(1, 4), step(2, 4), step(3, 4, 9), step(4, 3), step(5, 4)]
    assert highest(results, lossless=True) == 2
    assert highest(results, lossless=False) == 3
    assert highest(results[3:], lossless=False) is None
    assert highest([], lossless=False) is None


def test_both_ends_of_a_sweep_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eurydice_core.link.calibrate.PAUSE", 0.0)
    transport = MemoryTransport()
    opened: list[float] = []

    def open_sender(rate: float):
        opened.append(rate)
        return transport.sender()

    with transport.receiver() as receiver:
        sent = list(send_sweep(open_sender, Sweep(1, 4, 3, 0.05)))
        results = list(receive_sweep(receiver, wait=5))
    assert opened == [1, 2, 4, 1]
    assert [(r.rate, r.sent, r.received) for r in results] == [
        (s.rate, s.packets, s.packets) for s in sent
    ]
    assert highest(results, lossless=True) == 4


def test_receiver_that_hears_nothing_ends() -> None:
    transport = MemoryTransport()
    with transport.receiver() as receiver:
        assert list(receive_sweep(receiver, wait=0.0)) == []


def test_sender_that_cannot_keep_up_says_so() -> None:
    assert SentStep(1000, 10, 100_000_000, 1.0).kept_up
    assert not SentStep(1000, 10, 10_000_000, 1.0).kept_up
