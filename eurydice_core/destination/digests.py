"""Digests of files on their way in, computed as the bytes come, as far as they come in order."""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from eurydice_core.interfaces.storage import Buffer

__all__ = ["Digests"]

MAX_OPEN = 1000
"""Files whose digest is carried along; of others the bytes are read again in the end."""


@dataclass(slots=True)
class Running:
    """A digest of the first `position` bytes of a file."""

    hasher: Any = field(default_factory=hashlib.sha256)
    position: int = 0


class Digests:
    """SHA-256 of many files at once.

    What was hashed here was handed to the storage as well, so a crash only costs reading
    it again: `finish` takes the rest, or all, from the storage.
    """

    def __init__(self) -> None:
        self._running: OrderedDict[uuid.UUID, Running] = OrderedDict()

    def feed(self, id: uuid.UUID, offset: int, data: Buffer) -> None:
        """Take note of bytes; those that are not the next ones are left for later."""
        running = self._running.get(id)
        if running is None:
            if offset != 0:
                return
            running = self._running[id] = Running()
            if len(self._running) > MAX_OPEN:
                self._running.popitem(last=False)
        if offset == running.position:
            running.hasher.update(data)
            running.position += len(data)
            self._running.move_to_end(id)

    def position(self, id: uuid.UUID) -> int:
        """Return how many of the file's first bytes are in its digest."""
        running = self._running.get(id)
        return 0 if running is None else running.position

    def finish(self, id: uuid.UUID, rest: Iterable[bytes]) -> bytes:
        """Return the digest, `rest` being everything from `position` on; forget the file."""
        running = self._running.pop(id, None) or Running()
        for chunk in rest:
            running.hasher.update(chunk)
        digest: bytes = running.hasher.digest()
        return digest

    def forget(self, id: uuid.UUID) -> None:
        """Drop a file that will not be finished."""
        self._running.pop(id, None)
