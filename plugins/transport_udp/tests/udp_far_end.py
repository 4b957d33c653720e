"""The receiving end of a link without sockets, processes or a clock, and datagrams for it."""

from __future__ import annotations

import os

import numpy as np

from eurydice_transport_udp.arena import Arena
from eurydice_transport_udp.assembly import OPEN_PACKETS, Assembler, EventKind
from eurydice_transport_udp.codec import Codec, codec_by_id
from eurydice_transport_udp.encoder import PacketEncoder
from eurydice_transport_udp.layout import Plan
from eurydice_transport_udp.repair import repair_packet
from eurydice_transport_udp.wire import unpack_facts

__all__ = ["MIB", "TIMEOUT", "FarEnd", "datagrams_of"]

MIB = 1 << 20
TIMEOUT = 2.0


class FarEnd:
    """A receiver without sockets, processes or a clock of its own."""

    def __init__(
        self,
        max_packet: int = 4 * MIB,
        buffer_packets: int = 4,
        buffer_size: int = 1 << 30,
        key: bytes = b"",
    ) -> None:
        fd = os.memfd_create("test")
        self.arena = Arena(fd, OPEN_PACKETS + buffer_packets, max_packet)
        os.close(fd)
        self.assembler = Assembler(
            self.arena,
            buffer_packets=buffer_packets,
            buffer_size=buffer_size,
            timeout=TIMEOUT,
            key=key,
        )
        self.reports: list[EventKind] = []
        self.packets: list[bytes] = []
        self.lost: list[int] = []
        self.dropped: list[int] = []
        self.repaired = 0
        self.margins: list[int] = []

    def hear(self, datagrams: list[bytes], now: float = 0.0, batch: int = 1) -> None:
        """Take datagrams as the kernel gives them: those of one size several at once."""
        for first in range(0, len(datagrams), batch):
            several = datagrams[first : first + batch]
            self.assembler.feed(np.frombuffer(b"".join(several), np.uint8), len(several[0]), now)

    def consume(self) -> None:
        while self.assembler.events:
            event = self.assembler.events.popleft()
            if event.kind >= EventKind.RIVALS:
                self.reports.append(event.kind)
                continue
            parsed = unpack_facts(event.facts)
            assert parsed is not None
            layout = parsed[1]
            if event.kind is not EventKind.READY:
                losses = self.lost if event.kind is EventKind.LOST else self.dropped
                losses.append(layout.number)
                continue
            slot = self.arena.slot(event.slot)
            repair = repair_packet(layout, slot, codec_by_id(layout.codec))
            self.assembler.release([event.slot])
            if repair is None:
                self.lost.append(layout.number)
                continue
            self.repaired += repair.symbols
            self.margins.append(repair.margin_percent)
            self.packets.append(slot.data[: layout.length].tobytes())

    def counted(self, name: str) -> int:
        return self.arena.counters()[name]


def datagrams_of(
    packet: bytes,
    codec: Codec,
    *,
    number: int = 0,
    instance: int = 1,
    plan: Plan | None = None,
    key: bytes = b"",
) -> list[bytes]:
    encoder = PacketEncoder(plan or Plan(1408, 100, 10), codec, instance, key)
    arrays = encoder.datagrams(encoder.layout(number, len(packet)), packet)
    return [row.tobytes() for array in arrays for row in array]
