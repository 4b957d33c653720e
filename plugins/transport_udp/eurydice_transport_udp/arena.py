"""Memory that the collecting process and the receiver share: counters, and packet slots."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from eurydice_transport_udp.layout import MAX_SYMBOLS, slot_capacity
from eurydice_transport_udp.wire import Bytes

__all__ = ["Arena", "Counter", "Slot"]

COUNTER_BYTES = mmap.PAGESIZE


class Counter(IntEnum):
    """What the collecting process counts; the position in the shared memory."""

    DATAGRAMS = 0
    DATAGRAM_BYTES = 1
    REFUSED = 2
    DUPLICATES = 3
    SURPLUS = 4
    LOST_PACKETS = 5
    DROPPED = 6
    KERNEL_DROPS = 7
    LINKS = 8
    RIVAL_DATAGRAMS = 9
    UNAUTHENTIC = 10
    REPLAYED = 11


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one packet."""

    have: Bytes
    """One byte a symbol: 1 if it is there."""
    data: Bytes
    """The symbols by index: data, padding, repair."""


class Arena:
    """Slots for packets of up to `max_packet` bytes; only what is written takes memory."""

    def __init__(self, fd: int, slots: int, max_packet: int) -> None:
        self.slots = slots
        self.max_packet = max_packet
        self.capacity = slot_capacity(max_packet)
        size = self.size(slots, max_packet)
        if os.fstat(fd).st_size < size:
            os.ftruncate(fd, size)
        self._map = mmap.mmap(fd, size)
        self._memory: Bytes = np.frombuffer(self._map, np.uint8)
        self.counts: NDArray[np.int64] = self._memory[:COUNTER_BYTES].view(np.int64)

    @staticmethod
    def size(slots: int, max_packet: int) -> int:
        """Return the bytes of address space."""
        return COUNTER_BYTES + slots * (MAX_SYMBOLS + slot_capacity(max_packet))

    def slot(self, number: int) -> Slot:
        """Return one slot; what it holds is what its last packet left."""
        start = COUNTER_BYTES + number * (MAX_SYMBOLS + self.capacity)
        data = start + MAX_SYMBOLS
        return Slot(self._memory[start:data], self._memory[data : data + self.capacity])

    def look_away(self, number: int) -> None:
        """Take one slot's pages out of this process until it looks at the slot again.

        What they hold stays for the other process; the memory is not counted twice.
        """
        start = COUNTER_BYTES + number * (MAX_SYMBOLS + self.capacity)
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        pages = (start + MAX_SYMBOLS + self.capacity - first) // mmap.PAGESIZE
        if pages > 0:
            self._map.madvise(mmap.MADV_DONTNEED, first, pages * mmap.PAGESIZE)

    def counters(self) -> Mapping[str, int]:
        """Return what the collecting process has counted so far."""
        return {counter.name.lower(): int(self.counts[counter]) for counter in Counter}

    def close(self) -> None:
        """Give the memory back; the counts stay readable, slots must not be used any more."""
        self.counts = self.counts.copy()
        self._memory = np.empty(0, np.uint8)
        with suppress(BufferError):  # somebody still looks at a slot; the last one frees the memory
            self._map.close()
