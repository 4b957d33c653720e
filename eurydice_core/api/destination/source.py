"""A stored file, opened for a download."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, Final

from eurydice_core.errors import ObjectMissing, StorageError
from eurydice_core.interfaces.storage import HasLocalPath, Storage
from eurydice_core.os_advice import advice

__all__ = ["Source", "open_source"]

CHUNK: Final = 2**20  # bytes


class Source(ABC):
    """Bytes of a file, in order. Its methods block, and raise no `OSError`."""

    @abstractmethod
    def read(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            StorageError: they cannot be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the file or stream; more than once does no harm."""


@contextmanager
def _translated() -> Iterator[None]:
    """Turn an `OSError` of the storage into a `StorageError` without a path.

    A bare `TimeoutError` or `ConnectionError` would be taken for the client's connection.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hint = advice(error)
        raise StorageError(
            f"cannot read a stored file: {reason}" + (f"; {hint}" if hint else "")
        ) from error


class _LocalFile(Source):
    """A file of this machine, read without the storage plugin."""

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file = file
        self._left = stop - start
        file.seek(start)

    def read(self) -> bytes:
        with _translated():
            data = self._file.read(min(CHUNK, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        with suppress(OSError):  # nothing was written that could be lost
            self._file.close()


class _StoredObject(Source):
    """Chunks that the storage plugin yields, the first one read ahead."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._first: bytes | None = next(chunks, b"")

    def read(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        with _translated():
            return next(self._chunks, b"")

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)  # iterators need not have one
        if close is not None:
            with suppress(OSError):
                close()


def open_source(storage: Storage, key: str, size: int, start: int, stop: int) -> Source:
    """Open the bytes from `start` up to `stop` of an object that is `size` bytes long.

    Raises:
        ObjectMissing: it is not there, or not all of it.
        StorageError: it cannot be read.
    """
    with _translated():
        if isinstance(storage, HasLocalPath):
            return _open_file(storage, key, size, start, stop)
        if storage.size(key) != size:
            raise ObjectMissing(key)
        return _StoredObject(storage.read(key, start, stop))


def _open_file(storage: HasLocalPath, key: str, size: int, start: int, stop: int) -> Source:
    try:
        file = storage.local_path(key).open("rb", buffering=0)
    except FileNotFoundError:
        raise ObjectMissing(key) from None
    with ExitStack() as stack:
        stack.callback(file.close)
        if file.seek(0, os.SEEK_END) != size:
            raise ObjectMissing(key)
        source = _LocalFile(file, start, stop)
        stack.pop_all()
    return source
