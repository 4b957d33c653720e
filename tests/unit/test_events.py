"""Listeners are told everything in order, and can neither break nor slow anything."""

from __future__ import annotations

import threading

from eurydice_core import events
from eurydice_core.events import EventStream
from eurydice_core.interfaces.event import EventListener
from eurydice_core.model.event import EventKind
from eurydice_core.model.states import Side


class Notes(EventListener):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.closed = False

    def on_event(self, event):
        self.seen.append(f"{event.side} {event.kind} {event.transferable_id} {dict(event.facts)}")

    def close(self):
        self.closed = True


class Broken(EventListener):
    def on_event(self, event):
        raise RuntimeError("a bug")

    def close(self):
        raise RuntimeError("another")


def test_listeners_are_told_in_order_even_beside_a_broken_one():
    notes = Notes()
    stream = EventStream(Side.ORIGIN, [Broken(), notes])
    stream.tell(EventKind.SUBMITTED, transferable_id="a", size=1)
    stream.tell(EventKind.SENT, transferable_id="a")
    stream.close()
    assert notes.seen == ["origin submitted a {'size': 1}", "origin sent a {}"]
    assert notes.closed


def test_a_stuck_listener_costs_events_and_nothing_else(monkeypatch):
    monkeypatch.setattr(events, "MAX_WAITING", 2)
    released = threading.Event()
    taken = threading.Event()

    class Stuck(EventListener):
        def on_event(self, event):
            taken.set()
            released.wait(10)

    stream = EventStream(Side.ORIGIN, [Stuck()])
    stream.tell(EventKind.SENT)
    assert taken.wait(10)
    for _ in range(5):
        stream.tell(EventKind.SENT)
    assert stream.dropped == 3
    released.set()
    stream.close()


def test_without_listeners_there_is_no_thread():
    before = threading.active_count()
    stream = EventStream(Side.ORIGIN, [])
    stream.tell(EventKind.SENT)
    assert threading.active_count() == before
    stream.close()
