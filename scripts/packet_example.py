"""The worked example of docs/reference/packet.md: print it, or put it into the page.

.venv/bin/python scripts/packet_example.py [--write]
"""

from __future__ import annotations

import hashlib
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgpack

from eurydice_core.model.states import RevocationReason
from eurydice_core.protocol.elements import Revocation, TransferablePart
from eurydice_core.protocol.keys import SEAL, derive_key
from eurydice_core.protocol.packet import HEADER, SEAL_SIZE, PacketBuilder

PAGE = Path(__file__).parents[1] / "docs/reference/packet.md"
BLOCK = re.compile(r"(?<=<!-- example -->\n).*?(?=<!-- end of example -->)", re.DOTALL)
SECRET = "a secret of at least 32 characters"  # noqa: S105 (an example is no secret)
PAYLOAD = b"hello"
FIELDS = (
    ("magic", 8),
    ("version", 1),
    ("reserved", 7),
    ("length of the head", 8),
    ("length of the payload", 8),
    ("stream", 16),
    ("sequence number", 8),
    ("time of sending", 8),
)


def packet() -> bytes:
    """Return a packet with a whole file of 5 bytes and a revocation."""
    builder = PacketBuilder(
        stream=uuid.UUID("6a1e4d5c-30f7-4b52-9c7e-2f4b8d1a9e03"),
        sequence=41,
        sent_at_ms=1_795_435_200_000,
        parts=[
            TransferablePart(
                id=uuid.UUID("0b8e7f0e-2a3b-4c5d-8e6f-708192a3b4c5"),
                profile=bytes.fromhex("0102030405060708"),
                name="a.txt",
                metadata={"Metadata-Name": "a.txt"},
                size=len(PAYLOAD),
                piece_size=8 * 2**20,
                sha1=hashlib.sha1(PAYLOAD, usedforsecurity=False).digest(),
                sha256=hashlib.sha256(PAYLOAD).digest(),
                ranges=[(0, len(PAYLOAD))],
            )
        ],
        revocations=[
            Revocation(
                id=uuid.UUID("c5b4a392-8170-4f6e-9d5c-4b3a2a0e7f8e"),
                profile=bytes.fromhex("0102030405060708"),
                name="b.txt",
                reason=RevocationReason.USER_CANCELED,
            )
        ],
    )
    builder.slots[0][:] = PAYLOAD
    return bytes(builder.sealed(derive_key(SECRET, SEAL)))


def rows(data: bytes, start: int, what: str) -> Iterator[str]:
    """Yield lines of at most 16 bytes, the first one with a name."""
    for place in range(0, len(data), 16):
        text = data[place : place + 16].hex(" ")
        yield f"{start + place:5}  {text:47}  {what if place == 0 else ''}".rstrip()


def shown(value: object, indent: str = "") -> Iterator[str]:
    """Yield what a head says, one field a line."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner and isinstance(inner, dict | list) and not _is_pairs(inner):
                yield f"{indent}{key}:"
                yield from shown(inner, indent + "  ")
            else:
                yield f"{indent}{key}: {inner.hex() if isinstance(inner, bytes) else inner!r}"
    elif isinstance(value, list):
        for inner in value:
            first, *others = shown(inner, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from others


def _is_pairs(value: object) -> bool:
    return isinstance(value, list) and isinstance(value[0], list)


def example() -> str:
    """Return the block of the page."""
    data = packet()
    head_size = HEADER.unpack_from(data)[2]
    payload = HEADER.size + head_size
    seal = len(data) - SEAL_SIZE
    lines = ["```text"]
    start = 0
    for what, size in FIELDS:
        lines += rows(data[start : start + size], start, what)
        start += size
    lines += rows(data[HEADER.size : payload], HEADER.size, "head")
    lines += rows(data[payload:seal], payload, "payload")
    lines += rows(data[seal:], seal, "seal")
    lines += ["```", "", "The head says:", "", "```text"]
    lines += shown(msgpack.unpackb(data[HEADER.size : payload]))
    return "\n".join([*lines, "```", ""])


def main() -> None:
    """Print the example, or write it where it belongs."""
    if "--write" in sys.argv[1:]:
        block = example()
        PAGE.write_text(BLOCK.sub(lambda _: block, PAGE.read_text()))
    else:
        sys.stdout.write(example())


if __name__ == "__main__":
    main()
