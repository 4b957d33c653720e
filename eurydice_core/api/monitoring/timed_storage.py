"""A storage that tells how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    Buffer,
    HasFreeSpace,
    HasLocalPath,
    HasPresignedUrl,
    ObjectWriter,
    Storage,
)

__all__ = ["timed_storage"]

Observe = Callable[[str, float], None]
"""Takes the name of an operation, and the seconds it took."""


def timed_storage(storage: Storage, observe: Observe) -> Storage:
    """Return a storage that does as this one does, with the same abilities."""
    abilities = [timed for ability, timed in ABILITIES.items() if isinstance(storage, ability)]
    kind: type[TimedStorage] = type("TimedStorage", (*abilities, TimedStorage), {})
    return kind(storage, observe)


class TimedStorage(Storage):
    """Times what it passes on."""

    def __init__(self, storage: Storage, observe: Observe) -> None:
        self._storage = storage
        self._observe = observe

    def write(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """Time the object; not whoever brings its bytes."""
        return _Write(self._storage.write(key), self._observe)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Time the object; not whoever takes its bytes."""
        chunks = self._storage.read(key, start, stop)
        seconds = 0.0
        try:
            while True:
                began = time.perf_counter()
                chunk = next(chunks, None)
                seconds += time.perf_counter() - began
                if chunk is None:
                    return
                yield chunk
        finally:
            close = getattr(chunks, "close", None)  # iterators need not have one
            if close is not None:
                close()
            self._observe("read", seconds)

    def size(self, key: str) -> int:
        """Time it."""
        with self._timed("size"):
            return self._storage.size(key)

    def delete(self, keys: Iterable[str]) -> None:
        """Time it, however many."""
        with self._timed("delete"):
            self._storage.delete(keys)

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Pass it on: the API puts nothing together."""
        return self._storage.assemble(key, piece_size=piece_size, state=state)

    def check(self) -> None:
        """Time it."""
        with self._timed("check"):
            self._storage.check()

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._observe(operation, time.perf_counter() - began)


class _FreeSpace(TimedStorage, HasFreeSpace):
    def free_space(self) -> int:
        assert isinstance(self._storage, HasFreeSpace)  # noqa: S101 (that is why it is chosen)
        return self._storage.free_space()


class _LocalPath(TimedStorage, HasLocalPath):
    def local_path(self, key: str) -> Path:
        assert isinstance(self._storage, HasLocalPath)  # noqa: S101 (the same)
        return self._storage.local_path(key)


class _PresignedUrl(TimedStorage, HasPresignedUrl):
    def presigned_url(self, key: str, *, seconds: int, headers: Mapping[str, str]) -> str | None:
        assert isinstance(self._storage, HasPresignedUrl)  # noqa: S101 (the same)
        return self._storage.presigned_url(key, seconds=seconds, headers=headers)


ABILITIES: Final[dict[type, type[TimedStorage]]] = {
    HasFreeSpace: _FreeSpace,
    HasLocalPath: _LocalPath,
    HasPresignedUrl: _PresignedUrl,
}


class _Write(AbstractContextManager[ObjectWriter]):
    """An object being written, and how long that took until now."""

    def __init__(self, writing: AbstractContextManager[ObjectWriter], observe: Observe) -> None:
        self._writing = writing
        self._observe = observe
        self._writer: ObjectWriter | None = None
        self._seconds = 0.0

    def __enter__(self) -> ObjectWriter:
        began = time.perf_counter()
        self._writer = self._writing.__enter__()
        self._seconds = time.perf_counter() - began
        return self

    def write(self, data: Buffer, /) -> object:
        """Pass it on."""
        assert self._writer is not None  # noqa: S101 (nobody has us before)
        began = time.perf_counter()
        self._writer.write(data)
        self._seconds += time.perf_counter() - began
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        began = time.perf_counter()
        try:
            return self._writing.__exit__(kind, error, trace)
        finally:
            self._observe("write", self._seconds + time.perf_counter() - began)
