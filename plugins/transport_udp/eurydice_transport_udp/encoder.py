"""A packet becomes datagrams; no input or output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct

import numpy as np

from eurydice_core.interfaces.storage import Buffer
from eurydice_transport_udp.authentication import DatagramKey
from eurydice_transport_udp.codec import Codec
from eurydice_transport_udp.layout import Layout, Plan
from eurydice_transport_udp.wire import FACTS_SIZE, HEADER_SIZE, Bytes, pack_facts, seal_rows

__all__ = ["CALL_BYTES", "PacketEncoder"]

CALL_BYTES = 65_507  # the largest message of UDP over IPv4, which the kernel then cuts up
STAGE_BYTES = 1 << 19  # built at once: enough for numpy to be fast, and it stays in the cache


class PacketEncoder:
    """Cuts packets of one link instance into datagrams, in the order they are to be sent."""

    def __init__(self, plan: Plan, codec: Codec, instance: int, key: bytes = b"") -> None:
        """Number packets as of this instance, and tag datagrams with this key, if there is one."""
        self._plan = plan
        self._codec = codec
        self._instance = instance
        self._key = DatagramKey(key)
        self._repair: Bytes = np.empty(0, np.uint8)

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
        facts = pack_facts(layout, self._instance)
        tag = self._key.tag(facts)
        stage = self._stage(layout, facts)
        repair = self._room(layout.m * layout.row_bytes).reshape(layout.m, layout.row_bytes)
        spans = self._spans(layout) if layout.m else []
        encoding = self._encode(layout, data, repair, spans)
        batches = -(-layout.sources // len(stage))
        for batch in range(batches):
            for _ in range(batch * len(spans) // batches, (batch + 1) * len(spans) // batches):
                next(encoding)
            first = batch * len(stage)
            count = min(len(stage), layout.sources - first)
            fill(stage[:count, HEADER_SIZE:], data[first * size : (first + count) * size])
            yield numbered(stage[:count], first, tag)
        flat = repair.reshape(-1, size)
        for first in range(0, len(flat), len(stage)):
            symbols = flat[first : first + len(stage)]
            stage[: len(symbols), HEADER_SIZE:] = symbols
            yield numbered(stage[: len(symbols)], layout.first_repair + first, tag)

    def _room(self, size: int) -> Bytes:
        """Return memory for the repair of one packet: that of the one before, if it is enough."""
        if len(self._repair) < size:
            self._repair = np.empty(size, np.uint8)
        return self._repair[:size]

    def _stage(self, layout: Layout, facts: bytes) -> Bytes:
        stride = HEADER_SIZE + layout.symbol_size
        # Whole multiples of what one call hands to the kernel, so that none is left half empty.
        rows = max(1, STAGE_BYTES // (CALL_BYTES // stride * stride)) * (CALL_BYTES // stride)
        stage = np.zeros((min(rows, layout.symbols), stride), np.uint8)
        stage[:, :FACTS_SIZE] = np.frombuffer(facts, np.uint8)
        return stage

    def _spans(self, layout: Layout) -> list[slice]:
        """Cut the rows of a packet into the spans that the codec likes best."""
        span, end = self._codec.span(layout.symbol_size), layout.row_bytes
        return [slice(at, min(at + span, end)) for at in range(0, end, span)]

    def _encode(
        self, layout: Layout, data: memoryview, repair: Bytes, spans: Sequence[slice]
    ) -> Iterator[None]:
        """Fill in one span of the rows of repair after the other."""
        whole = len(data) // layout.row_bytes
        for span in spans:
            width = span.stop - span.start
            rows = (
                cutter(whole, layout.row_bytes, width).unpack_from(data, span.start)
                if whole
                else ()
            )
            if whole < layout.k:  # zeros that are not sent make the last row as long as the others
                last = bytes(data[whole * layout.row_bytes :][span])
                rows = (*rows, last.ljust(width, b"\0"))
            for row, encoded in zip(repair, self._codec.encode(rows, layout.m), strict=True):
                row[span] = np.frombuffer(encoded, np.uint8)
            del rows  # so that the next ones take the same memory, which is in the cache
            yield


@lru_cache(maxsize=16)
def cutter(rows: int, row_bytes: int, width: int) -> Struct:
    """Return what cuts the same stretch out of each row, all in one call."""
    skipped = f"{row_bytes - width}x"
    return Struct(skipped.join([f"{width}s"] * rows))


def fill(symbols: Bytes, data: memoryview) -> None:
    """Copy data into the symbols of a stage, with zeros behind its end."""
    size = symbols.shape[1]
    whole = len(data) // size
    array = np.frombuffer(data, np.uint8)
    symbols[:whole] = array[: whole * size].reshape(whole, size)
    if whole < len(symbols):
        symbols[whole] = 0
        symbols[whole, : len(data) - whole * size] = array[whole * size :]


def numbered(stage: Bytes, first_index: int, tag: int) -> Bytes:
    """Number the datagrams and set their tags and checks."""
    seal_rows(stage.view(np.uint64), first_index, tag)
    return stage
