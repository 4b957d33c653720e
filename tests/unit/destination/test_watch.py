"""The destination counts what it hears, what it misses and what it refuses."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from eurydice_core.destination.watch import LinkWatch
from eurydice_core.errors import SealBroken
from eurydice_core.protocol.packet import Packet

STREAM = uuid.UUID(int=1)


def packet(sequence: int, *, stream: uuid.UUID = STREAM, refused: tuple[str, ...] = ()) -> Packet:
    return Packet(
        stream=stream,
        sequence=sequence,
        sent_at_ms=0,
        parts=(),
        payloads=(),
        revocations=(),
        refused=refused,
    )


@pytest.fixture
def lines():
    seen: list[str] = []
    number = logger.add(lambda message: seen.append(message.record["message"]), level="WARNING")
    yield seen
    logger.remove(number)


@given(
    total=st.integers(1, 30),
    lost=st.sets(st.integers(1, 28)),
    rng=st.randoms(use_true_random=False),
)
def test_what_is_missing_is_what_never_came_in_whatever_order(total, lost, rng):
    watch = LinkWatch(60)
    numbers = [n for n in range(total) if n not in lost]
    numbers = sorted(numbers, key=lambda n: n + 3 * rng.random() * (0 < n < max(numbers)))
    for number in numbers:
        watch.heard(packet(number))
    record = watch.record({})
    gaps = max(numbers) + 1 - len(numbers)
    assert record["receiver"].get("missing", 0) == gaps
    assert record["streams"][str(STREAM)]["missing"] == gaps
    assert record["receiver"]["packets"] == record["receiver"]["heartbeats"] == len(numbers)


def test_a_sender_that_starts_anew_is_a_stream_of_its_own():
    watch = LinkWatch(60)
    for number in (7, 8):
        watch.heard(packet(number))
    watch.heard(packet(0, stream=uuid.UUID(int=2)))
    assert "missing" not in watch.record({})["receiver"]
    assert len(watch.record({})["streams"]) == 2


def test_only_the_latest_streams_are_remembered():
    watch = LinkWatch(60)
    for number in range(150):
        watch.heard(packet(0, stream=uuid.UUID(int=number)))
    assert len(watch.record({})["streams"]) == 100


def test_refusals_are_counted_always_and_said_once_a_minute(lines):
    now = [0.0]
    watch = LinkWatch(60, monotonic=lambda: now[0])
    for _ in range(100):
        watch.refused(SealBroken())
        now[0] += 1
    assert watch.record({})["receiver"]["refused"] == 100
    assert [line.split("(")[1] for line in lines] == [
        "1 refused since the start)",
        "61 refused since the start)",
    ]


def test_silence_is_an_alarm_once_a_period(lines):
    now = [0.0]
    watch = LinkWatch(10, monotonic=lambda: now[0])
    for _ in range(25):
        watch.nothing_came()
        now[0] += 1
    assert len(lines) == 2
    assert "not even a heartbeat" in lines[0]
    assert watch.record({})["receiver"]["silences"] == 2


def test_elements_that_were_skipped_are_named(lines):
    watch = LinkWatch(60)
    watch.heard(packet(3, refused=("part cannot be read",)))
    assert lines == ["packet 3: an element was skipped: part cannot be read"]
    assert watch.record({"datagrams": 5})["transport"] == {"datagrams": 5}
