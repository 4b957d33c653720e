"""The packet: what the origin says to the destination, down to the byte.

    offset  size  field, integers big-endian
         0     8  magic "EURYDICE"
         8     1  version, 1
         9     7  reserved, zero when written, not looked at when read
        16     8  length of the head, M
        24     8  length of the payload, P
        32    16  stream: chosen at random by a sender when it starts
        48     8  sequence number within the stream, from 0
        56     8  time of sending, milliseconds since 1970-01-01 UTC
        64     M  head: one msgpack map, keys in `docs/reference/packet.md`
      64+M     P  payload: the bytes of the ranges, in the order the head lists them
    64+M+P    32  seal: keyed BLAKE3 of everything before it

Everything is idempotent by (transferable, offset). Unknown keys of the head are skipped,
so that the two sides can be upgraded one at a time.
"""

from __future__ import annotations

import hmac
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack
from blake3 import blake3

from eurydice_core.errors import MalformedPacket, SealBroken
from eurydice_core.model.buffer import Buffer
from eurydice_core.protocol.elements import (
    Revocation,
    TransferablePart,
    read_parts,
    read_revocations,
)

__all__ = ["MAX_HEAD", "OVERHEAD", "Packet", "PacketBuilder", "is_sealed", "open_packet", "peek"]

MAGIC: Final = b"EURYDICE"
VERSION: Final = 1
HEADER: Final = struct.Struct(">8sB7xQQ16sQQ")
SEAL_SIZE: Final = 32
MAX_HEAD: Final = 64 * 2**20
"""Longest head that is read, in bytes; far above what 10,000 ranges need."""
OVERHEAD: Final = HEADER.size + SEAL_SIZE
"""Bytes of a packet beside its head and payload."""

# What packing and reading the same bytes twice would cost is nothing beside the payload.
_THREADED_FROM = 1 << 20  # bytes; below it one thread hashes faster than several


def _seal(key: bytes, data: Buffer) -> bytes:
    threads = blake3.AUTO if len(data) >= _THREADED_FROM else 1
    return blake3(data, key=key, max_threads=threads).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet that was opened, its seal checked."""

    stream: uuid.UUID
    sequence: int
    sent_at_ms: int
    parts: Sequence[TransferablePart]
    payloads: Sequence[Sequence[memoryview]]
    """For each part, the bytes of each of its ranges."""
    revocations: Sequence[Revocation]
    refused: Sequence[str]
    """What was wrong with elements that were skipped, one line each."""

    @property
    def is_heartbeat(self) -> bool:
        """Whether it says nothing but that the origin lives."""
        return not (self.parts or self.revocations or self.refused)


class PacketBuilder:
    """Lays a packet out in one buffer, so that payloads are read straight into place."""

    def __init__(
        self,
        *,
        stream: uuid.UUID,
        sequence: int,
        sent_at_ms: int,
        parts: Sequence[TransferablePart] = (),
        revocations: Sequence[Revocation] = (),
        buffer: bytearray | None = None,
    ) -> None:
        """Write everything but the payloads and the seal.

        `buffer`, the `buffer` of an earlier packet that nobody reads any more, is used again
        if it is long enough: the system takes longer to hand out memory than we to fill it.
        """
        head = msgpack.packb(
            {
                "parts": [part.to_map() for part in parts],
                "revocations": [revocation.to_map() for revocation in revocations],
            }
        )
        lengths = [length for part in parts for _, length in part.ranges]
        size = HEADER.size + len(head) + sum(lengths) + SEAL_SIZE
        self.buffer = bytearray(size) if buffer is None or len(buffer) < size else buffer
        """What the packet is laid out in; it may be longer than the packet."""
        self._view = memoryview(self.buffer)[:size]
        HEADER.pack_into(
            self._view,
            0,
            MAGIC,
            VERSION,
            len(head),
            sum(lengths),
            stream.bytes,
            sequence,
            sent_at_ms,
        )
        start = HEADER.size + len(head)
        self._view[HEADER.size : start] = head
        self.slots: list[memoryview] = []
        """Where the bytes of each range go: the ranges of the first part, of the second, ..."""
        for length in lengths:
            self.slots.append(self._view[start : start + length])
            start += length

    def sealed(self, key: bytes) -> memoryview:
        """Seal what the buffer holds now, and return the whole packet."""
        self._view[-SEAL_SIZE:] = _seal(key, self._view[:-SEAL_SIZE])
        return self._view


def open_packet(data: Buffer, key: bytes) -> Packet:
    """Check the seal and read the head; payloads stay where they are in `data`.

    An element of the head that makes no sense is left out and named in `refused`: it
    costs only itself.

    Raises:
        MalformedPacket: not a packet, not whole, or of a version we do not know.
        SealBroken: not sealed with this key.
    """
    view = _ours(data)
    _, version, head_size, payload_size, stream, sequence, sent_at = HEADER.unpack_from(view)
    if version != VERSION:
        raise MalformedPacket(
            f"packet refused: format version {version}, this program reads {VERSION};"
            " upgrade the destination side"
        )
    if head_size > MAX_HEAD or OVERHEAD + head_size + payload_size != len(view):
        raise MalformedPacket(f"packet refused: not whole, {len(view)} bytes")
    if not hmac.compare_digest(_seal(key, view[:-SEAL_SIZE]), view[-SEAL_SIZE:]):
        raise SealBroken
    start = HEADER.size + head_size
    head = _read_head(view[HEADER.size : start])
    refused: list[str] = []
    parts, payloads = read_parts(head.get("parts", ()), view[start : start + payload_size], refused)
    return Packet(
        stream=uuid.UUID(bytes=stream),
        sequence=sequence,
        sent_at_ms=sent_at,
        parts=parts,
        payloads=payloads,
        revocations=read_revocations(head.get("revocations", ()), refused),
        refused=refused,
    )


def is_sealed(data: Buffer, key: bytes) -> bool:
    """Return whether the last bytes are the seal of all before them, made with this key."""
    view = memoryview(data)
    if len(view) < OVERHEAD:
        return False
    return hmac.compare_digest(_seal(key, view[:-SEAL_SIZE]), view[-SEAL_SIZE:])


def peek(data: Buffer) -> tuple[uuid.UUID, int]:
    """Return the stream and sequence number a packet claims to have, its seal unchecked.

    Raises:
        MalformedPacket: not a packet.
    """
    _, _, _, _, stream, sequence, _ = HEADER.unpack_from(_ours(data))
    return uuid.UUID(bytes=stream), sequence


def _ours(data: Buffer) -> memoryview:
    view = memoryview(data).toreadonly()
    if len(view) < OVERHEAD or bytes(view[:8]) != MAGIC:
        raise MalformedPacket(f"packet refused: {len(view)} bytes that are no packet of ours")
    return view


def _read_head(data: memoryview) -> dict[str, Any]:
    try:
        head = msgpack.unpackb(data, strict_map_key=False)
    # TypeError: a map with a list as a key. Sealed by us, so it is a bug of a sender.
    except (TypeError, ValueError) as error:
        raise MalformedPacket(f"packet refused: its head cannot be read ({error})") from error
    if not isinstance(head, dict):
        raise MalformedPacket("packet refused: its head is no map")
    return head
