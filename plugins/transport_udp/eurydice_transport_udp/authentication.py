"""Datagrams that only a holder of the link's key can make.

Every datagram of a packet carries a tag: 32 bits of keyed BLAKE3 over the facts of the
packet, its sender's start time and number among them. A receiver cannot be asked whether
a guess was right, so 32 bits keep a guesser at one hit in four billion datagrams. The tag
costs one hash a packet. It protects the facts, not the symbols: the seal of the core
protects the contents.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from blake3 import blake3

__all__ = ["NO_TAG", "DatagramKey", "new_instance", "start_of"]

NO_TAG = 0
"""The tag of a sender without a key, or of a version before tags."""
TAG_BYTES = 4
RANDOM_BITS = 32


class DatagramKey:
    """The key of a link's datagrams; one of 0 bytes makes and accepts no tags."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def tag(self, facts: bytes) -> int:
        """Return the tag of the datagrams of a packet, `NO_TAG` without a key."""
        if not self._key:
            return NO_TAG
        digest = blake3(facts, key=self._key).digest(TAG_BYTES)
        return int.from_bytes(digest, "little") or 1

    def accepts(self, facts: bytes, tag: int) -> bool:
        """Return whether a holder of the key sent a datagram with these facts and this tag."""
        return tag != NO_TAG and tag == self.tag(facts)


def new_instance(clock: Callable[[], float] = time.time) -> int:
    """Return a link instance number: the start time in seconds, and random bits below it."""
    return (int(clock()) % (1 << 32)) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)


def start_of(instance: int) -> int:
    """Return the start time in seconds since 1970 that an authentic instance number states."""
    return instance >> RANDOM_BITS
