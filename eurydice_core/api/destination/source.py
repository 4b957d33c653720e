"""A stored file, opened for a download."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO, Final

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import HasLocalPath, Storage

__all__ = ["Source", "open_source"]

CHUNK: Final = 2**20  # bytes


class Source(ABC):
    """Bytes of a file, in order. Its methods block."""

    @abstractmethod
    def read(self) -> bytes:
        """Return the next bytes; none at the end."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held; once is enough, more does no harm."""


class _LocalFile(Source):
    """A file of this machine: no detour over the storage."""

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file = file
        self._left = stop - start
        file.seek(start)

    def read(self) -> bytes:
        data = self._file.read(min(CHUNK, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()


class _StoredObject(Source):
    """What the storage yields, its first piece read ahead."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._first: bytes | None = next(chunks, b"")

    def read(self) -> bytes:
        first, self._first = self._first, None
        return next(self._chunks, b"") if first is None else first

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)  # iterators need not have one
        if close is not None:
            close()


def open_source(storage: Storage, key: str, size: int, start: int, stop: int) -> Source:
    """Open the bytes from `start` up to `stop` of an object that is `size` bytes long.

    Raises:
        ObjectMissing: it is not there, or not all of it.
        StorageError: it cannot be read.
    """
    if isinstance(storage, HasLocalPath):
        return _open_file(storage, key, size, start, stop)
    if storage.size(key) != size:
        raise ObjectMissing(key)
    return _StoredObject(storage.read(key, start, stop))


def _open_file(storage: HasLocalPath, key: str, size: int, start: int, stop: int) -> Source:
    path = storage.local_path(key)
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ObjectMissing(key) from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    with ExitStack() as stack:
        stack.callback(file.close)
        if file.seek(0, os.SEEK_END) != size:
            raise ObjectMissing(key)
        source = _LocalFile(file, start, stop)
        stack.pop_all()
    return source
