"""Which datagrams are looked at: by their key, their sender and their number."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from eurydice_transport_udp.arena import Arena, Counter
from eurydice_transport_udp.authentication import DatagramKey
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.links import REMEMBERED_LINKS, Links, Standing
from eurydice_transport_udp.messages import Source
from eurydice_transport_udp.wire import FACTS_SIZE, Words, instance_of, instances_of

__all__ = ["UNKNOWN", "Admission", "Event", "EventKind", "text_of"]

REPORT_AGAIN_SECONDS = 60.0
MAX_STRANGERS = 32
"""Packets of refused senders that are looked at in one batch; the rest are counted unseen."""
REPLAY_WINDOW = 1024
"""Packets; fewer than the assembler remembers, so that none of them is received twice."""
NUMBERS = 1 << 32
UNKNOWN: Source = ("unknown", 0)


class EventKind(IntEnum):
    """Counters of the collecting process."""

    STARTED = 0
    READY = 1
    LOST = 2
    DROPPED = 3
    RIVALS = 4
    REFUSED = 5
    UNAUTHENTIC = 6


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a packet."""

    kind: EventKind
    facts: bytes = bytes(FACTS_SIZE)
    slot: int = 0
    missing: int = 0
    """Symbols of data that did not come."""
    text: str = ""
    """Where it came from, or who the rivals are."""


class Admission:
    """Decide which datagrams are received, and report refused ones at a bounded rate.

    A sender that has the key of the link is never held up by one that has not. What
    anybody can cause costs one event a minute for each kind, and bounded time and memory.
    """

    def __init__(
        self, arena: Arena, events: deque[Event], key: bytes, *, one_sender: bool = True
    ) -> None:
        self.source: Source = UNKNOWN
        self._arena = arena
        self._events = events
        self._key = DatagramKey(key)
        self._one_sender = one_sender
        self._links = Links()
        self._now = 0.0
        self._report_due: dict[EventKind, float] = {}
        self._strangers = 0
        self._newest: OrderedDict[int, int] = OrderedDict()
        """Highest packet number of each authentic sender, by instance."""

    @property
    def knows_authentic(self) -> bool:
        """Return whether a sender with the key was ever heard."""
        return self._links.knows_authentic

    def begin_batch(self, source: Source, now: float) -> None:
        """Take note of where the next datagrams come from."""
        self.source, self._now, self._strangers = source, now, 0

    def is_authentic(self, facts: bytes, tag: int) -> bool:
        """Return whether a holder of the key sent a datagram with these facts and this tag."""
        return self._key.accepts(facts, tag)

    def admits(self, facts: bytes, count: int, *, authentic: bool) -> bool:
        """Return whether datagrams of a sender are received; report a second sender."""
        verdict = self._links.hear(instance_of(facts), self.source, self._now, authentic=authentic)
        self._arena.counts[Counter.LINKS] = self._links.begun
        if verdict.standing is Standing.ACCEPTED:
            return True
        self._strangers += 1
        if verdict.standing is Standing.UNAUTHENTIC:
            self._arena.counts[Counter.UNAUTHENTIC] += count
            self._report(EventKind.UNAUTHENTIC, facts)
        else:
            self._arena.counts[Counter.RIVAL_DATAGRAMS] += count
            self._report(EventKind.RIVALS, facts, str(verdict))
        return not self._one_sender

    def without_strangers(self, rows: Words) -> Words:
        """Drop the rest of what refused senders put into a batch: looking at it takes time."""
        preferred = self._links.preferred(self._now)
        if self._strangers < MAX_STRANGERS or preferred is None:
            return rows
        wanted = instances_of(rows) == np.uint64(preferred)
        self._arena.counts[Counter.UNAUTHENTIC] += len(rows) - int(wanted.sum())
        kept: Words = rows[wanted]
        return kept

    def is_replayed(self, facts: bytes, layout: Layout) -> bool:
        """Return whether an authentic packet is older than any that may still be under way."""
        instance = instance_of(facts)
        newest = self._newest.get(instance, layout.number)
        ahead = (layout.number - newest) % NUMBERS
        if ahead >= NUMBERS // 2:
            return NUMBERS - ahead >= REPLAY_WINDOW
        self._newest[instance] = layout.number
        self._newest.move_to_end(instance)
        if len(self._newest) > REMEMBERED_LINKS:
            self._newest.popitem(last=False)
        return False

    def refuse(self, count: int) -> None:
        """Count foreign or damaged datagrams, and report where the first of a minute came from."""
        if count:
            self._arena.counts[Counter.REFUSED] += count
            self._report(EventKind.REFUSED)

    def _report(self, kind: EventKind, facts: bytes = bytes(FACTS_SIZE), text: str = "") -> None:
        if self._now >= self._report_due.get(kind, float("-inf")):
            self._report_due[kind] = self._now + REPORT_AGAIN_SECONDS
            self._events.append(Event(kind, facts, text=text or text_of(self.source)))


def text_of(source: Source) -> str:
    """Return an address and port for people."""
    host, port = source
    return f"{host}:{port}"
