"""The two erasure codes, behind one small interface.

Both work on a *stripe*: the same span of bytes of every row of a packet. Row `j` of all
blocks is one run of bytes, so that Reed-Solomon, which treats every 64 bytes of a row
alike, may be given a span that begins and ends anywhere, in blocks of equal fate.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import ClassVar

from eurydice_core.errors import TransportError

__all__ = ["CODECS", "Codec", "Leopard", "RaptorQ", "choose_codec", "codec_by_id"]


class Codec(ABC):
    """A systematic erasure code."""

    id: ClassVar[int]
    """What the datagrams call it."""
    name: ClassVar[str]
    """What the settings call it."""
    module: ClassVar[str]
    """The package that computes it."""
    surplus: ClassVar[int]
    """Symbols beyond `k` to wait for, so that decoding does not fail."""

    def __init__(self, package: ModuleType) -> None:
        self._package = package

    @abstractmethod
    def span(self, symbol_size: int) -> int:
        """Return how many bytes of each row are best coded in one call."""

    @abstractmethod
    def encode(self, rows: Sequence[bytes], m: int) -> list[bytes]:
        """Return `m` rows of repair."""

    @abstractmethod
    def decode(
        self, k: int, m: int, rows: Mapping[int, bytes], repair: Mapping[int, bytes]
    ) -> Mapping[int, bytes] | None:
        """Return at least the missing rows of the data, or None if what is there does not do."""


class Leopard(Codec):
    """Reed-Solomon over GF(2^16): any `k` of the `k + m` rows are enough, always."""

    id = 1
    name = "leopard"
    module = "reed_solomon_leopard"
    surplus = 0

    def span(self, symbol_size: int) -> int:
        """Return what keeps all rows of a call in a core's cache; symbols do not matter to it."""
        del symbol_size
        return 6_144

    def encode(self, rows: Sequence[bytes], m: int) -> list[bytes]:
        """Encode whatever blocks the rows are of."""
        repair: list[bytes] = self._package.encode(rows, m)
        return repair

    def decode(
        self, k: int, m: int, rows: Mapping[int, bytes], repair: Mapping[int, bytes]
    ) -> Mapping[int, bytes] | None:
        """Decode, with no more repair rows than are missing: others only cost time."""
        lost = k - len(rows)
        if len(repair) < lost:
            return None
        used = dict(list(repair.items())[:lost])
        restored: Mapping[int, bytes] = self._package.decode(k, m, dict(rows), used)
        return restored


class RaptorQ(Codec):
    """RFC 6330: slower, but its wheel fits every CPython; `k + 2` rows are all but certain."""

    id = 2
    name = "raptorq"
    module = "raptorq"
    surplus = 2

    def span(self, symbol_size: int) -> int:
        """Return one symbol, which this code takes as a whole."""
        return symbol_size

    def encode(self, rows: Sequence[bytes], m: int) -> list[bytes]:
        """Encode one block; its own 4-byte payload ids are cut off again."""
        encoder = self._package.Encoder.with_defaults(b"".join(rows), len(rows[0]))
        return [packet[4:] for packet in encoder.get_encoded_packets(m)[len(rows) :]]

    def decode(
        self, k: int, m: int, rows: Mapping[int, bytes], repair: Mapping[int, bytes]
    ) -> Mapping[int, bytes] | None:
        """Decode one block; repair row `r` has the encoding symbol id `k + r`."""
        received = [*rows.items(), *((k + row, data) for row, data in repair.items())]
        size = len(received[0][1]) if received else 0
        if len(received) < k:
            return None
        decoder = self._package.Decoder.with_defaults(k * size, size)
        for symbol_id, data in received:
            block = decoder.decode(symbol_id.to_bytes(4, "big") + data)
            if block is not None:
                return {
                    row: block[row * size : (row + 1) * size] for row in range(k) if row not in rows
                }
        return None


CODECS: tuple[type[Codec], ...] = (Leopard, RaptorQ)
"""Every codec of wire version 1, the preferred one first."""


def codec_by_id(codec_id: int) -> Codec | None:
    """Return the codec that a datagram names, or None if this machine does not have it."""
    for kind in CODECS:
        if kind.id == codec_id:
            return load(kind)
    return None


def choose_codec(name: str) -> Codec:
    """Return the codec that the settings name.

    Raises:
        TransportError: its package is not installed.
    """
    for kind in CODECS:
        codec = load(kind) if name in ("auto", kind.name) else None
        if codec is not None:
            return codec
    wanted = "no erasure code is" if name == "auto" else f"the erasure code {name} is not"
    raise TransportError(
        f"{wanted} installed for this Python: install reed-solomon-leopard or raptorq,"
        ' and set codec = "auto" in [transport]'
    )


def load(kind: type[Codec]) -> Codec | None:
    """Return a codec if its package is there."""
    try:
        return kind(importlib.import_module(kind.module))
    except ImportError:
        return None
