"""A storage in memory, as strict as a disk: what was not committed is gone after a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    Buffer,
    HasListing,
    ObjectWriter,
    Storage,
    checked_key,
)

__all__ = ["MemoryStorage"]

CHUNK = 256 * 1024


class MemoryStorage(Storage, HasListing):
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}
        self._staged: dict[str, dict[int, bytes]] = {}
        """Pieces by key and offset, as of each assembly's last checkpoint."""
        self._touched: dict[str, datetime] = {}
        """When each key was last written to."""

    @property
    def keys(self) -> frozenset[str]:
        """Every object of a transfer, for a test to look at; not who says to use the storage."""
        with self._lock:
            return frozenset(key for key in self._objects if not key.startswith("owners/"))

    @contextmanager
    def write(self, key: str) -> Iterator[ObjectWriter]:
        """Collect the object, and let it appear at the end."""
        checked_key(key)
        data = _Writer()
        yield data
        with self._lock:
            self._objects[key] = bytes(data)
            self._touched[key] = datetime.now(UTC)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield slices of the object as it is now."""
        data = self._object(key)
        end = len(data) if stop is None else min(stop, len(data))
        for position in range(start, end, CHUNK):
            yield data[position : min(position + CHUNK, end)]

    def size(self, key: str) -> int:
        """Return the object's length."""
        return len(self._object(key))

    def delete(self, keys: Iterable[str]) -> None:
        """Forget these objects."""
        for key in keys:
            checked_key(key)
            with self._lock:
                self._objects.pop(key, None)

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object in pieces."""
        return MemoryAssembly(self, checked_key(key), state)

    def list_keys(self, prefix: str = "", *, before: datetime | None = None) -> Iterator[str]:
        """Yield from the keys as they are now."""
        with self._lock:
            touched = {
                key: self._touched[key]
                for key in (*self._objects, *self._staged)
                if key.startswith(prefix)
            }
        for key, at in touched.items():
            if before is None or at < before:
                yield key

    def discard(self, keys: Iterable[str]) -> None:
        """Forget objects and pieces."""
        for key in keys:
            self.delete([key])
            self.stage(key, None)

    def check(self) -> None:
        """Have nothing to complain about: memory is always there."""

    def staged(self, key: str) -> dict[int, bytes] | None:
        """Return the pieces of the last checkpoint; None if nothing is being assembled."""
        with self._lock:
            pieces = self._staged.get(key)
            return None if pieces is None else dict(pieces)

    def stage(self, key: str, pieces: dict[int, bytes] | None) -> None:
        """Keep these pieces over a crash; None forgets all."""
        with self._lock:
            if pieces is None:
                self._staged.pop(key, None)
            else:
                self._staged[key] = dict(pieces)
                self._touched[key] = datetime.now(UTC)

    def _object(self, key: str) -> bytes:
        with self._lock:
            try:
                return self._objects[checked_key(key)]
            except KeyError:
                raise ObjectMissing(key) from None


class _Writer(bytearray):
    """A bytearray that is written to like a file."""

    def write(self, data: Buffer) -> None:
        self += data


class MemoryAssembly(Assembly):
    """Pieces in a dictionary; only a checkpoint hands them to the storage."""

    def __init__(self, storage: MemoryStorage, key: str, state: AssemblyState | None) -> None:
        self._storage = storage
        self._key = key
        if state is None:
            storage.stage(key, None)
        staged = storage.staged(key)
        self._pieces = staged or {}
        # A checkpoint leaves something staged, and commit takes it away.
        self._committed = state is not None and staged is None

    def put(self, offset: int, data: Buffer) -> None:
        """Keep a copy of the piece."""
        if not self._committed:
            self._pieces[offset] = bytes(data)

    def checkpoint(self) -> AssemblyState:
        """Hand the pieces to the storage."""
        if not self._committed:
            self._storage.stage(self._key, self._pieces)
        return {"staged": True}

    def commit(self, size: int) -> None:
        """Join the pieces into the object."""
        if self._committed:
            if self._storage.size(self._key) != size:
                raise StorageError(f"the object {self._key!r} is not {size} bytes long")
            return
        data = b"".join(self._pieces[offset] for offset in sorted(self._pieces))
        if len(data) != size:
            raise StorageError(f"{len(data)} of the {size} bytes of {self._key!r} were put")
        with self._storage.write(self._key) as writer:
            writer.write(data)
        self._storage.stage(self._key, None)
        self._committed = True

    def abort(self) -> None:
        """Forget all pieces."""
        self._pieces.clear()
        self._storage.stage(self._key, None)
