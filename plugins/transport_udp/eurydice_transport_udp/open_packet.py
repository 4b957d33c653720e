"""A packet under way: what of it has come, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eurydice_transport_udp.arena import Slot
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.wire import Bytes

__all__ = ["OpenPacket", "missing_symbols", "prepare"]


@dataclass(slots=True)
class OpenPacket:
    """A packet of which some datagrams came, and not yet enough."""

    facts: bytes
    layout: Layout
    slot: int
    have: Bytes
    rows: Bytes
    surplus: int
    last_seen: float
    authentic: bool = False
    key: bytes = b""
    """The facts and the tag, which identify it."""
    source: str = ""
    """Where its first datagram came from."""
    sources: int = 0
    repair: int = 0

    @property
    def symbols(self) -> int:
        """How many symbols of it came."""
        return self.sources + self.repair

    @property
    def is_complete(self) -> bool:
        """Return whether nothing is missing, or certainly not too much."""
        if self.sources == self.layout.sources:
            return True
        enough = self.symbols >= self.layout.sources
        return enough and self.is_decodable(self.surplus)

    def is_decodable(self, surplus: int) -> bool:
        """Return whether every block misses nothing, or has `surplus` symbols more than needed."""
        counts = self.have.reshape(-1, self.layout.blocks).sum(axis=0, dtype=np.int64)
        short = counts < self.layout.k + surplus
        return not short.any() or not missing_symbols(self.layout, self.have)[:, short].any()


def missing_symbols(layout: Layout, have: Bytes) -> NDArray[np.bool_]:
    """Return for each row and block whether its symbol of data is missing."""
    data = have[: layout.first_repair].reshape(layout.k, layout.blocks)
    absent: NDArray[np.bool_] = data == 0
    return absent


def prepare(layout: Layout, slot: Slot) -> tuple[Bytes, Bytes]:
    """Clear a slot for a packet: nothing is there but the padding, which is zeros."""
    have = slot.have[: layout.symbols]
    rows = slot.data[: layout.symbols * layout.symbol_size].reshape(-1, layout.symbol_size)
    have[:] = 0
    have[layout.sources : layout.first_repair] = 1
    rows[layout.sources : layout.first_repair] = 0
    return have, rows
