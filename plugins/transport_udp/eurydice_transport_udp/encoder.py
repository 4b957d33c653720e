"""A packet becomes datagrams; no input or output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eurydice_core.interfaces.storage import Buffer
from eurydice_transport_udp.codec import Codec
from eurydice_transport_udp.layout import Layout, Plan
from eurydice_transport_udp.wire import FACTS_SIZE, HEADER_SIZE, Bytes, pack_facts, seal_rows

__all__ = ["PacketEncoder"]

STAGE_BYTES = 1 << 18  # built at once: enough for numpy to be fast, and it stays in the cache


class PacketEncoder:
    """Cuts packets of one link instance into datagrams, in the order they are to be sent."""

    def __init__(self, plan: Plan, codec: Codec, instance: int) -> None:
        self._plan = plan
        self._codec = codec
        self._instance = instance

    def layout(self, number: int, length: int) -> Layout:
        """Return how a packet would be cut.

        Raises:
            ValueError: it cannot be.
        """
        return self._plan.layout(number, length, codec=self._codec.id)

    def datagrams(self, layout: Layout, packet: Buffer) -> Iterator[Bytes]:
        """Yield arrays of datagrams, one a row; each array is good until the next one.

        Repair is computed between batches of data, so that the link is never idle for
        the time that a whole packet takes, and sent behind the data.
        """
        size = layout.symbol_size
        data = memoryview(packet).cast("B")
        stage = self._stage(layout)
        repair = np.empty((layout.m, layout.blocks, size), np.uint8)
        encoding = self._encode(layout, data, repair)
        batches = -(-layout.sources // len(stage))
        stripes = self._stripes(layout)
        for batch in range(batches):
            for _ in range(batch * stripes // batches, (batch + 1) * stripes // batches):
                next(encoding)
            first = batch * len(stage)
            count = min(len(stage), layout.sources - first)
            fill(stage[:count, HEADER_SIZE:], data[first * size : (first + count) * size])
            yield numbered(stage[:count], first)
        flat = repair.reshape(-1, size)
        for first in range(0, len(flat), len(stage)):
            symbols = flat[first : first + len(stage)]
            stage[: len(symbols), HEADER_SIZE:] = symbols
            yield numbered(stage[: len(symbols)], layout.first_repair + first)

    def _stage(self, layout: Layout) -> Bytes:
        stride = HEADER_SIZE + layout.symbol_size
        stage = np.zeros((max(1, min(STAGE_BYTES // stride, layout.symbols)), stride), np.uint8)
        stage[:, :FACTS_SIZE] = np.frombuffer(pack_facts(layout, self._instance), np.uint8)
        return stage

    def _stripe_blocks(self, layout: Layout) -> int:
        return max(1, self._codec.stripe_bytes // layout.symbol_size)

    def _stripes(self, layout: Layout) -> int:
        return -(-layout.blocks // self._stripe_blocks(layout))

    def _encode(self, layout: Layout, data: memoryview, repair: Bytes) -> Iterator[None]:
        """Fill in the repair of one stripe after the other."""
        size, step = layout.symbol_size, self._stripe_blocks(layout)
        row_bytes = layout.blocks * size
        for first in range(0, layout.blocks, step):
            width = min(step, layout.blocks - first)
            starts = range(first * size, layout.k * row_bytes, row_bytes)
            rows = [bytes(data[at : at + width * size]).ljust(width * size, b"\0") for at in starts]
            for row, encoded in enumerate(self._codec.encode(rows, layout.m)):
                symbols = np.frombuffer(encoded, np.uint8).reshape(width, size)
                repair[row, first : first + width] = symbols
            yield


def fill(symbols: Bytes, data: memoryview) -> None:
    """Copy data into the symbols of a stage, with zeros behind its end."""
    size = symbols.shape[1]
    whole = len(data) // size
    array = np.frombuffer(data, np.uint8)
    symbols[:whole] = array[: whole * size].reshape(whole, size)
    if whole < len(symbols):
        symbols[whole] = 0
        symbols[whole, : len(data) - whole * size] = array[whole * size :]


def numbered(stage: Bytes, first_index: int) -> Bytes:
    """Number the datagrams and set their checks."""
    seal_rows(stage.view(np.uint64), first_index)
    return stage
