"""Reads ranges' bytes into packets, and checks that they are those that were uploaded.

The digest is made while the bytes are uploaded, so a bit that turns in the storage, on the
way there or on the way back is found here, before anything wrong is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from eurydice_core.db.outgoing import range_key
from eurydice_core.errors import ObjectMissing, StorageError, StorageFull, StorageUnavailable
from eurydice_core.interfaces.storage import Buffer, Storage
from eurydice_core.model.queue import PendingRange

__all__ = ["KeptRange", "RangeFault", "RangeReader"]

READS: Final = 2
"""Number of attempts to read bytes with a wrong digest: an error of the network passes."""
THREADED_FROM: Final = 1 << 20  # bytes; below it one thread hashes faster than several


@dataclass(frozen=True, slots=True)
class KeptRange:
    """Columns of a range that its payload is read and checked by."""

    digest: bytes | None = None
    """BLAKE3 of its bytes; None if it was uploaded before there were digests."""
    content: bytes | None = None
    """Its bytes, of a small file; None if the storage has them."""


@dataclass(frozen=True, slots=True)
class RangeFault:
    """Why a range cannot be sent, though the storage works."""

    reason: str
    may_pass: bool = False
    """Whether reading it later may succeed."""


class RangeReader:
    """Brings ranges from the storage or the database into packets."""

    def __init__(self, storage: Storage, plugin: str) -> None:
        self._storage = storage
        self._plugin = plugin
        """The storage's name, for messages."""

    def fill(self, item: PendingRange, slot: memoryview, kept: KeptRange) -> RangeFault | None:
        """Bring a range's bytes into its slot; return a fault of this range alone, if any.

        Raises:
            StorageUnavailable: the storage does not work now, so it is not the range.
        """
        if not item.size:
            return None
        if kept.content is not None:
            return self._copy(slot, kept.content, kept.digest)
        key = range_key(item.transferable_id, item.offset)
        place = f"object {key!r} in {self._plugin}"
        reason = ""
        for _ in range(READS):
            try:
                self._read(key, slot)
            except ObjectMissing:
                return RangeFault(f"{place} is missing")
            except (StorageUnavailable, StorageFull) as error:
                self._require_storage()
                return RangeFault(f"{place} cannot be read: {error}", may_pass=True)
            except StorageError as error:
                reason = f"{place} cannot be read: {error}"
            else:
                if kept.digest is None or _digest(slot) == kept.digest:
                    return None
                reason = f"{place} is damaged: its BLAKE3 digest is not the one of the upload"
        return RangeFault(reason)

    def _copy(self, slot: memoryview, content: bytes, digest: bytes | None) -> RangeFault | None:
        if len(content) != len(slot) or (digest is not None and _digest(content) != digest):
            return RangeFault("its content in the database is damaged: it is not what was uploaded")
        slot[:] = content
        return None

    def _read(self, key: str, slot: memoryview) -> None:
        filled = 0
        for chunk in self._storage.read(key, 0, len(slot)):
            if filled + len(chunk) > len(slot):
                raise StorageError(f"more than the {len(slot)} bytes asked for came")
            slot[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        if filled != len(slot):
            raise StorageError(f"it ends after {filled} of {len(slot)} bytes")

    def _require_storage(self) -> None:
        """Return if the storage works for others; a full one does, for reading.

        Raises:
            StorageUnavailable: it does not.
        """
        try:
            self._storage.check()
        except StorageFull:
            return


def _digest(data: Buffer) -> bytes:
    threads = blake3.AUTO if len(data) >= THREADED_FROM else 1
    return blake3(data, max_threads=threads).digest()
