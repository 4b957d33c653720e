from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_transport_udp.assembly import Event, EventKind
from eurydice_transport_udp.collector import EVENT_BYTES, pack_event, unpack_event
from eurydice_transport_udp.links import REMEMBERED_LINKS, SUCCESSION_SECONDS, Links

HERE = ("10.0.0.1", 5000)
THERE = ("10.0.0.2", 6000)


def test_one_sender_has_no_rival() -> None:
    links = Links()
    assert {links.hear(1, HERE, float(now)) for now in range(100)} == {None}
    assert links.begun == 1


def test_restarted_sender_is_no_rival_of_its_former_life() -> None:
    links = Links()
    for restart in range(5):
        for now in range(10):
            assert links.hear(restart, HERE, restart * 10.0 + now) is None
    assert links.begun == 5


def test_what_was_under_way_when_a_sender_restarted_makes_no_rival() -> None:
    links = Links()
    links.hear(1, HERE, 0.0)
    links.hear(2, HERE, 5.0)
    assert links.hear(1, HERE, 5.0 + 0.9 * SUCCESSION_SECONDS) is None


def test_two_senders_at_once_are_both_named() -> None:
    links = Links()
    links.hear(0xABC, HERE, 0.0)
    links.hear(0xDEF, THERE, 5.0)
    assert links.hear(0xABC, HERE, 5.0 + SUCCESSION_SECONDS) == (
        "link 0000000000000abc from 10.0.0.1:5000, and link 0000000000000def from 10.0.0.2:6000"
    )
    assert links.hear(0xDEF, THERE, 7.0) is None
    assert links.begun == 2


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
