"""How a packet is cut into symbols and blocks: arithmetic only.

A packet of `length` bytes is `sources` symbols of `symbol_size` bytes, the last padded
with zeros. Symbol `i` is row `i // blocks` of block `i % blocks`, so that sending the
symbols in their natural order visits every block in turn, and a burst of losses hits
each of them a little. All blocks have `k` rows; the rows missing in the last round are
zeros that both sides know, and are never sent. Repair row `r` of block `b` is symbol
`(k + r) * blocks + b`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

__all__ = ["Layout", "Plan", "slot_capacity"]

MAX_SYMBOLS = 1 << 20  # of one packet, repair included
MAX_ROWS = 32_768  # of data, and of repair, that every codec takes
MAX_BLOCK_BYTES = 8 << 20  # RaptorQ cuts larger blocks up, and leaves the systematic order
MAX_LENGTH = (1 << 32) - 1
SMALL_BLOCK_REPAIR = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The facts of one packet that every one of its datagrams repeats."""

    number: int
    length: int
    symbol_size: int
    blocks: int
    k: int
    m: int
    codec: int

    @property
    def sources(self) -> int:
        """Symbols of data that are sent."""
        return source_count(self.length, self.symbol_size)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of all blocks, which lie one behind the other."""
        return self.blocks * self.symbol_size

    @property
    def first_repair(self) -> int:
        """Index of the first repair symbol; those between it and `sources` are padding."""
        return self.k * self.blocks

    @property
    def symbols(self) -> int:
        """All symbols: data, padding and repair."""
        return (self.k + self.m) * self.blocks

    def is_sound(self, *, capacity: int) -> bool:
        """Return whether a datagram that states these facts can be one of ours."""
        return (
            self.blocks >= 1
            and 1 <= self.k <= MAX_ROWS
            and 0 <= self.m <= MAX_ROWS
            and self.blocks <= self.sources
            and self.k == -(-self.sources // self.blocks)
            and self.k * self.symbol_size <= MAX_BLOCK_BYTES
            and self.symbols <= MAX_SYMBOLS
            and self.symbols * self.symbol_size <= capacity
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sender decides before it knows a packet."""

    symbol_size: int
    block_symbols: int
    repair_percent: int

    def layout(self, number: int, length: int, *, codec: int) -> Layout:
        """Return how a packet of this length is cut.

        Raises:
            ValueError: it has more symbols than a receiver would take.
        """
        symbol_size = min(self.symbol_size, -(-max(length, 1) // 64) * 64)
        sources = source_count(length, symbol_size)
        blocks = -(-sources // min(self.block_symbols, MAX_BLOCK_BYTES // symbol_size))
        k = -(-sources // blocks)
        layout = Layout(
            number=number,
            length=length,
            symbol_size=symbol_size,
            blocks=blocks,
            k=k,
            m=repair_rows(k, self.repair_percent),
            codec=codec,
        )
        if length > MAX_LENGTH or not layout.is_sound(capacity=slot_capacity(length)):
            raise ValueError(
                f"a packet of {length} bytes needs {layout.symbols} datagrams of {symbol_size}"
                f" bytes, more than {MAX_SYMBOLS}: lower max_packet or repair, or raise mtu"
            )
        return layout


def source_count(length: int, symbol_size: int) -> int:
    """Return how many symbols carry the data; an empty packet still has one."""
    return max(1, -(-length // symbol_size))


def repair_rows(k: int, percent: int) -> int:
    """Return the repair symbols of a block.

    A small block gets more than its share: its losses vary more, and one datagram
    alone, such as a heartbeat, is worth three copies.
    """
    if percent == 0:
        return 0
    return max(-(-k * percent // 100), min(2 + isqrt(k - 1), SMALL_BLOCK_REPAIR))


def slot_capacity(max_packet: int) -> int:
    """Return the bytes that hold any packet of that size with up to 100 % of repair."""
    return 2 * max_packet + max_packet // 4 + (1 << 20)
