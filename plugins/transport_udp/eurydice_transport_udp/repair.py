"""What is missing in a received packet is computed; no input or output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eurydice_transport_udp.arena import Slot
from eurydice_transport_udp.codec import Codec
from eurydice_transport_udp.layout import Layout
from eurydice_transport_udp.open_packet import missing_symbols
from eurydice_transport_udp.wire import Bytes

__all__ = ["Repair", "repair_packet"]


@dataclass(frozen=True, slots=True)
class Repair:
    """What a packet needed."""

    symbols: int
    """Missing symbols of data."""
    margin_percent: int
    """Share of the repair that the worst block had left."""


def repair_packet(layout: Layout, slot: Slot, codec: Codec | None) -> Repair | None:
    """Restore the missing symbols in place; None if they cannot be.

    Only blocks that miss something are decoded. A burst leaves many neighbours with the
    same gaps, and those are decoded together.
    """
    have = slot.have[: layout.symbols].reshape(layout.k + layout.m, layout.blocks)
    missing = missing_symbols(layout, slot.have)
    per_block = missing.sum(axis=0)
    worst = int(per_block.max())
    if worst:
        if codec is None:
            return None
        data = slot.data[: layout.symbols * layout.symbol_size]
        rows = data.reshape(layout.k + layout.m, layout.row_bytes)
        for first, stop in alike(have, per_block):
            start, end = first * layout.symbol_size, stop * layout.symbol_size
            step = codec.span(layout.symbol_size)
            for at in range(start, end, step):
                span = slice(at, min(at + step, end))
                if not restore(layout, rows[:, span], have[:, first], codec):
                    return None
    left = max(0, layout.m - worst)
    return Repair(int(per_block.sum()), left * 100 // layout.m if worst else 100)


def alike(have: Bytes, missing: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield runs of blocks that miss something, and the same."""
    first, blocks = 0, have.shape[1]
    while first < blocks:
        stop = first + 1
        if missing[first]:
            while stop < blocks and np.array_equal(have[:, stop], have[:, first]):
                stop += 1
            yield first, stop
        first = stop


def restore(layout: Layout, rows: Bytes, have: Bytes, codec: Codec) -> bool:
    """Decode one stripe, and write what was missing where it belongs."""
    present = np.flatnonzero(have)
    data = {int(row): rows[row].tobytes() for row in present[present < layout.k]}
    spare = {int(row) - layout.k: rows[row].tobytes() for row in present[present >= layout.k]}
    restored = codec.decode(layout.k, layout.m, data, spare)
    if restored is None:
        return False
    for row in range(layout.k):
        if row not in data:
            rows[row] = np.frombuffer(restored[row], np.uint8)
    return True
