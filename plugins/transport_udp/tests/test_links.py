from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_transport_udp.assembly import Event, EventKind
from eurydice_transport_udp.collector import EVENT_BYTES, pack_event, unpack_event
from eurydice_transport_udp.links import (
    REMEMBERED_LINKS,
    SILENCE_SECONDS,
    SUCCESSION_SECONDS,
    Links,
)

HERE = ("10.0.0.1", 5000)
THERE = ("10.0.0.2", 6000)


def test_one_sender_has_no_rival() -> None:
    links = Links()
    assert {links.hear(1, HERE, float(now)) for now in range(100)} == {None}
    assert links.begun == 1


def test_restarted_sender_is_no_rival_of_its_former_life() -> None:
    links = Links()
    for restart in range(5):
        for now in range(100):
            assert links.hear(restart, HERE, restart * 10.0 + now / 10) is None
    assert links.begun == 5


def test_what_was_under_way_when_a_sender_restarted_makes_no_rival() -> None:
    links = Links()
    links.hear(1, HERE, 0.0)
    links.hear(2, HERE, 0.2)
    assert links.hear(1, HERE, 0.9) is None
    assert links.hear(2, HERE, 1.0) is None
    assert links.hear(2, HERE, 1.0 + SILENCE_SECONDS) is None  # whose turn it is now
    assert links.hear(1, HERE, 1.0 + SILENCE_SECONDS) is not None


def test_second_sender_is_told_apart_and_the_first_keeps_its_place() -> None:
    links = Links()
    told = set()
    for tick in range(100):
        now = tick / 10
        assert links.hear(0xABC, HERE, now) is None
        told.add(str(links.hear(0xDEF, THERE, now)))
    assert told == {
        "None",
        "link 0000000000000def from 10.0.0.2:6000, while link 0000000000000abc from"
        " 10.0.0.1:5000 is there",
    }
    assert links.begun == 2


def test_second_sender_takes_over_once_the_first_is_silent() -> None:
    links = Links()
    for now in (0.0, 1.0, 2.0, 3.0):
        links.hear(1, HERE, now)
        links.hear(2, THERE, now)
    assert links.hear(2, THERE, 3.0 + SUCCESSION_SECONDS / 2) is not None
    assert links.hear(2, THERE, 3.0 + SILENCE_SECONDS) is None
    assert links.hear(1, HERE, 4.0 + SILENCE_SECONDS / 2) is not None


def test_the_place_of_a_silent_sender_goes_to_who_was_there_first() -> None:
    links = Links()
    links.hear(1, HERE, 0.0)
    links.hear(2, HERE, 0.5)
    links.hear(3, THERE, 0.6)
    assert links.hear(3, THERE, SILENCE_SECONDS + 0.1) is None  # both are new, so neither is sure
    assert links.hear(2, HERE, 0.7 + SUCCESSION_SECONDS) is None
    assert links.hear(3, THERE, 0.8 + SUCCESSION_SECONDS) is not None
    assert links.hear(2, HERE, 0.9 + SUCCESSION_SECONDS) is None


@given(st.lists(st.integers(0, 2**64 - 1), max_size=300))
@settings(deadline=None)
def test_memory_is_bounded_whatever_is_claimed(instances: list[int]) -> None:
    links = Links()
    for now, instance in enumerate(instances):
        links.hear(instance, HERE, float(now))
    assert len(links._known) <= REMEMBERED_LINKS


@given(
    st.builds(
        Event,
        kind=st.sampled_from(EventKind),
        facts=st.binary(min_size=32, max_size=32),
        slot=st.integers(0, 2**16 - 1),
        missing=st.integers(0, 2**32 - 1),
        text=st.text(max_size=100),
    )
)
@settings(deadline=None)
def test_events_reach_the_receiver_as_they_were(event: Event) -> None:
    message = pack_event(event)
    assert len(message) <= EVENT_BYTES
    assert unpack_event(message) == event
