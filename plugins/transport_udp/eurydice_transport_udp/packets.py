"""Memory for packets that are handed over, used again once nobody looks at them."""

from __future__ import annotations

import weakref

import numpy as np

from eurydice_transport_udp.wire import Bytes

__all__ = ["PacketMemory"]

KEPT = 3  # one being taken in, one waiting, one being filled


class PacketMemory:
    """Lends memory for packets; what comes back is lent again.

    Fresh memory costs more than the copy into it: the kernel clears every page of it, and
    takes it away again afterwards. A loan ends when the last view of it is gone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._spare: list[Bytes] = []

    def copy(self, data: Bytes) -> memoryview:
        """Return a copy of data, of at most `size` bytes, that is nobody else's."""
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = np.empty(self._size, np.uint8)
        lent = memory[: len(data)]
        lent[:] = data
        # The finalizer keeps the memory, and the views keep what it waits for.
        weakref.finalize(lent, self._take_back, memory).atexit = False
        return lent.data

    def _take_back(self, memory: Bytes) -> None:
        if len(self._spare) < KEPT:
            self._spare.append(memory)
