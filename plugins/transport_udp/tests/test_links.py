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
    Standing,
    Verdict,
)

HERE = ("10.0.0.1", 5000)
THERE = ("10.0.0.2", 6000)


def accepted(verdict: Verdict) -> bool:
    return verdict.standing is Standing.ACCEPTED


def instance(start: int, chance: int = 1) -> int:
    """Return an authentic sender's instance, which states when it was started."""
    return start << 32 | chance


def test_one_sender_has_no_rival() -> None:
    links = Links()
    assert all(accepted(links.hear(1, HERE, float(now))) for now in range(100))
    assert links.begun == 1


def test_restarted_sender_is_no_rival_of_its_former_life() -> None:
    links = Links()
    for restart in range(5):
        for now in range(100):
            assert accepted(links.hear(restart, HERE, restart * 10.0 + now / 10))
    assert links.begun == 5


def test_what_was_under_way_when_a_sender_restarted_makes_no_rival() -> None:
    links = Links()
    links.hear(1, HERE, 0.0)
    links.hear(2, HERE, 0.2)
    assert accepted(links.hear(1, HERE, 0.9))
    assert accepted(links.hear(2, HERE, 1.0))
    assert accepted(links.hear(2, HERE, 1.0 + SILENCE_SECONDS))  # whose turn it is now
    assert not accepted(links.hear(1, HERE, 1.0 + SILENCE_SECONDS))


def test_second_sender_is_told_apart_and_the_first_keeps_its_place() -> None:
    links = Links()
    told = set()
    for tick in range(100):
        now = tick / 10
        assert accepted(links.hear(0xABC, HERE, now))
        verdict = links.hear(0xDEF, THERE, now)
        told.add("" if accepted(verdict) else str(verdict))
    assert told == {
        "",
        "link 0000000000000def from 10.0.0.2:6000, while link 0000000000000abc from"
        " 10.0.0.1:5000 is there",
    }
    assert links.begun == 2


def test_second_sender_takes_over_once_the_first_is_silent() -> None:
    links = Links()
    for now in (0.0, 1.0, 2.0, 3.0):
        links.hear(1, HERE, now)
        links.hear(2, THERE, now)
    assert not accepted(links.hear(2, THERE, 3.0 + SUCCESSION_SECONDS / 2))
    assert accepted(links.hear(2, THERE, 3.0 + SILENCE_SECONDS))
    assert not accepted(links.hear(1, HERE, 4.0 + SILENCE_SECONDS / 2))


def test_the_place_of_a_silent_sender_goes_to_who_was_there_first() -> None:
    links = Links()
    links.hear(1, HERE, 0.0)
    links.hear(2, HERE, 0.5)
    links.hear(3, THERE, 0.6)
    assert accepted(links.hear(3, THERE, SILENCE_SECONDS + 0.1))  # both are new, so neither is sure
    assert accepted(links.hear(2, HERE, 0.7 + SUCCESSION_SECONDS))
    assert not accepted(links.hear(3, THERE, 0.8 + SUCCESSION_SECONDS))
    assert accepted(links.hear(2, HERE, 0.9 + SUCCESSION_SECONDS))


def test_unauthentic_sender_never_refuses_or_displaces_an_authentic_one() -> None:
    links = Links()
    for tick in range(300):  # the forger is there first, and at any rate
        now = tick / 10
        links.hear(666, THERE, now)
        if tick >= 20:
            assert accepted(links.hear(instance(1000), HERE, now, authentic=True))
            assert links.hear(666, THERE, now).standing is Standing.UNAUTHENTIC


def test_authentic_sender_takes_its_place_at_once_after_idle_time() -> None:
    links = Links()
    links.hear(instance(1000), HERE, 0.0, authentic=True)
    for tick in range(1200):
        links.hear(666, THERE, tick / 10)
    assert accepted(links.hear(666, THERE, 120.0))  # as a sender of an earlier version would be
    assert accepted(links.hear(instance(1000), HERE, 120.0, authentic=True))
    assert not accepted(links.hear(666, THERE, 120.1))


def test_replayed_earlier_run_does_not_hold_the_link() -> None:
    links = Links()
    for tick in range(100):
        links.hear(instance(1000), THERE, tick / 10, authentic=True)
    for tick in range(100, 200):
        now = tick / 10
        assert accepted(links.hear(instance(2000), HERE, now, authentic=True))
        replayed = links.hear(instance(1000), THERE, now, authentic=True)
        assert accepted(replayed) is (tick < 110)


def test_sender_whose_clock_went_back_is_received_once_its_former_life_is_silent() -> None:
    links = Links()
    links.hear(instance(2000), HERE, 0.0, authentic=True)
    now = SILENCE_SECONDS + 0.1
    assert accepted(links.hear(instance(1000), HERE, now, authentic=True))
    assert accepted(links.hear(instance(1000), HERE, now + 5, authentic=True))


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.booleans()), max_size=300))
@settings(deadline=None)
def test_memory_is_bounded_whatever_is_claimed(claims: list[tuple[int, bool]]) -> None:
    links = Links()
    for now, (claimed, authentic) in enumerate(claims):
        links.hear(claimed, HERE, float(now), authentic=authentic)
    assert all(len(known) <= REMEMBERED_LINKS for known in links._known.values())


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
