"""Datagrams become packets; no input or output.

Most datagrams come in order and undamaged, many at once, so the common case is a few
numpy operations for a whole batch. Everything else (reordering, duplicates, damage,
foreign datagrams) takes the slower way to the same result.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from eurydice_transport_udp.admission import UNKNOWN, Admission, Event, EventKind, text_of
from eurydice_transport_udp.arena import Arena, Counter
from eurydice_transport_udp.codec import CODECS
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.messages import Source
from eurydice_transport_udp.open_packet import OpenPacket, prepare
from eurydice_transport_udp.wire import (
    FACTS_SIZE,
    HEADER_SIZE,
    Bytes,
    Words,
    index_of,
    intact,
    is_possible_size,
    tags_of,
    unpack_facts,
)

__all__ = ["OPEN_PACKETS", "Assembler", "Event", "EventKind"]

OPEN_PACKETS = 4
REMEMBERED_PACKETS = 4096
SURPLUS = {codec.id: codec.surplus for codec in CODECS}
FACT_WORDS = FACTS_SIZE // 8
TAG_BYTES = 8
UNAUTHENTIC_SHARE = 4
"""Part of the buffer that senders without the key may fill once one with it was heard."""


class Assembler:
    """Places datagrams into the slots of an arena, and tells when a packet is whole.

    At most `OPEN_PACKETS` are open at a time, and at most `buffer_packets` of together
    `buffer_size` bytes (one in any case) wait for their consumer; whatever arrives, memory is
    bounded and nothing waits for ever. `returned` tells which slots were emptied meanwhile.
    """

    def __init__(
        self,
        arena: Arena,
        *,
        buffer_packets: int,
        buffer_size: int,
        timeout: float,
        returned: Callable[[], Iterable[int]] = tuple,
        one_sender: bool = True,
        key: bytes = b"",
    ) -> None:
        self.events: deque[Event] = deque()
        self._arena = arena
        self._timeout = timeout
        self._returned = returned
        self._admission = Admission(arena, self.events, key, one_sender=one_sender)
        self._buffer_packets = buffer_packets
        self._buffer_size = buffer_size
        self._free = list(range(min(arena.slots, OPEN_PACKETS + buffer_packets)))
        self._ready: dict[int, int] = {}
        """Bytes of the packet in each slot that waits for the consumer."""
        self._open: dict[bytes, OpenPacket] = {}
        self._closed: OrderedDict[bytes, None] = OrderedDict()
        self._next_expiry = 0.0

    def release(self, slots: Iterable[int]) -> None:
        """Take back slots whose packets the consumer has copied."""
        for slot in slots:
            if self._ready.pop(slot, None) is not None:
                self._free.append(slot)

    def feed(self, datagrams: Bytes, size: int, now: float, source: Source = UNKNOWN) -> None:
        """Take datagrams of this size that lie one behind the other.

        The last one may be shorter, and is then none of ours.
        """
        self._admission.begin_batch(source, now)
        count, rest = divmod(len(datagrams), size) if size else (1, 0)
        self._count(Counter.DATAGRAMS, count + bool(rest))
        self._count(Counter.DATAGRAM_BYTES, len(datagrams))
        self._admission.refuse(bool(rest))
        if not is_possible_size(size):
            self._admission.refuse(count)
            return
        rows = datagrams[: count * size].view(np.uint64).reshape(count, size // 8)
        good = intact(rows)
        if not good.all():
            self._admission.refuse(count - int(good.sum()))
            rows = rows[good]
        self._sort(rows, now)
        if now >= self._next_expiry:
            self.expire(now)

    def expire(self, now: float) -> None:
        """Close packets that have waited too long for their next datagram."""
        for packet in [*self._open.values()]:
            if now - packet.last_seen >= self._timeout:
                self._close(packet)
        self._next_expiry = now + self._timeout / 4

    def _sort(self, rows: Words, now: float) -> None:
        """Split a batch by packet; in nearly all cases it is of one packet."""
        while len(rows):
            equal = rows[:, :FACT_WORDS] == rows[0, :FACT_WORDS]
            tags = tags_of(rows)
            tag = int(tags[0])
            alike = tags == tags[0]
            if equal.all() and alike.all():
                self._take(rows, tag, now)
                return
            same = equal.all(axis=1) & alike
            self._take(rows[same], tag, now)
            rows = rows[~same]
            rows = self._admission.without_strangers(rows)

    def _take(self, rows: Words, tag: int, now: float) -> None:
        facts = rows[0, :FACT_WORDS].tobytes()
        key = facts + tag.to_bytes(TAG_BYTES, "little")
        size = rows.shape[1] * 8
        packet = self._open.get(key)
        closed = packet is None and key in self._closed
        # Cut within zeros, a datagram has the same sum.
        layout = packet.layout if packet else self._sound_layout(facts)
        if layout is None or size != HEADER_SIZE + layout.symbol_size:
            self._admission.refuse(len(rows))
            return
        authentic = packet.authentic if packet else self._admission.is_authentic(facts, tag)
        if not self._admission.admits(facts, len(rows), authentic=authentic):
            return
        if closed:
            self._count(Counter.SURPLUS, len(rows))
            return
        if packet is None:
            if authentic and self._admission.is_replayed(facts, layout):
                self._count(Counter.REPLAYED, len(rows))
                return
            packet = self._begin(key, layout, authentic=authentic)
        if packet is not None:
            packet.last_seen = now
            self._place(packet, rows)
            if packet.is_complete:
                self._hand_over(packet)

    def _sound_layout(self, facts: bytes) -> Layout | None:
        """Return the layout that a datagram states, if it may be one of ours."""
        parsed = unpack_facts(facts)
        if parsed is None:
            return None
        layout = parsed[1]
        sound = (
            layout.codec in SURPLUS
            and layout.length <= self._arena.max_packet
            and layout.is_sound(capacity=self._arena.capacity)
        )
        return layout if sound else None

    def _begin(self, key: bytes, layout: Layout, *, authentic: bool) -> OpenPacket | None:
        """Open a packet; the one that has been silent for longest makes room if need be.

        Of those that came in one batch, it is the one of which least came: it takes but a
        datagram to claim a packet that does not exist. An authentic packet makes no room for
        one that is not.
        """
        if len(self._open) >= OPEN_PACKETS:
            oldest = min(
                self._open.values(), key=lambda each: (each.authentic, each.last_seen, each.symbols)
            )
            if oldest.authentic and not authentic:
                return None
            self._close(oldest)
        number = self._free.pop()
        have, rows = prepare(layout, self._arena.slot(number))
        packet = OpenPacket(
            key[:FACTS_SIZE],
            layout,
            number,
            have,
            rows,
            SURPLUS[layout.codec],
            last_seen=0.0,
            authentic=authentic,
            key=key,
            source=text_of(self._admission.source),
        )
        self._open[key] = packet
        return packet

    def _place(self, packet: OpenPacket, rows: Words) -> None:
        """Copy symbols to where they belong, each once."""
        layout = packet.layout
        index = index_of(rows)
        first, last = int(index[0]), int(index[-1])
        in_order = bool((index == np.arange(first, first + len(index))).all())
        in_range = last < layout.sources or (first >= layout.first_repair and last < layout.symbols)
        if in_order and in_range and not packet.have[first : last + 1].any():
            packet.have[first : last + 1] = 1
            packet.rows[first : last + 1] = rows.view(np.uint8)[:, HEADER_SIZE:]
        else:
            index = self._place_unordered(packet, rows, index)
        sources = int((index < layout.sources).sum())
        packet.sources += sources
        packet.repair += len(index) - sources

    def _place_unordered(
        self, packet: OpenPacket, rows: Words, index: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        layout = packet.layout
        valid = (index < layout.sources) | (
            (index >= layout.first_repair) & (index < layout.symbols)
        )
        self._admission.refuse(len(index) - int(valid.sum()))
        rows, index = rows[valid], index[valid]
        distinct, at = np.unique(index, return_index=True)
        new = packet.have[distinct] == 0
        self._count(Counter.DUPLICATES, len(index) - int(new.sum()))
        placed: NDArray[np.int64] = distinct[new]
        packet.have[placed] = 1
        packet.rows[placed] = rows[at[new]].view(np.uint8)[:, HEADER_SIZE:]
        return placed

    def _close(self, packet: OpenPacket) -> None:
        """Give up waiting: what is there is enough, or the packet is lost."""
        if packet.is_decodable(surplus=0):
            self._hand_over(packet)
            return
        self._count(Counter.LOST_PACKETS, 1)
        missing = packet.layout.sources - packet.sources
        self._forget(packet, EventKind.LOST, missing)

    def _hand_over(self, packet: OpenPacket) -> None:
        missing = packet.layout.sources - packet.sources
        self.release(self._returned())
        if not self._has_room(packet):
            self._count(Counter.DROPPED, 1)
            self._forget(packet, EventKind.DROPPED, missing)
            return
        self._ready[packet.slot] = packet.layout.length
        self._end(packet)
        self.events.append(Event(EventKind.READY, packet.facts, packet.slot, missing))

    def _has_room(self, packet: OpenPacket) -> bool:
        if not self._ready:
            return True
        part = 1 if packet.authentic or not self._admission.knows_authentic else UNAUTHENTIC_SHARE
        waiting = sum(self._ready.values())
        return (
            len(self._ready) < self._buffer_packets // part
            and waiting + packet.layout.length <= self._buffer_size // part
        )

    def _forget(self, packet: OpenPacket, kind: EventKind, missing: int) -> None:
        self._free.append(packet.slot)
        self._end(packet)
        self.events.append(Event(kind, packet.facts, packet.slot, missing, packet.source))

    def _end(self, packet: OpenPacket) -> None:
        """Remember a packet, so that what still comes of it does not open it again."""
        del self._open[packet.key]
        self._closed[packet.key] = None
        if len(self._closed) > REMEMBERED_PACKETS:
            self._closed.popitem(last=False)

    def _count(self, counter: Counter, amount: int) -> None:
        self._arena.counts[counter] += amount
