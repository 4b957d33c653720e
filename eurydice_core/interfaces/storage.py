"""Where bytes rest.

A storage keeps immutable objects by key. The core makes the keys (lower-case letters,
digits, `-` and `/`), so they are safe as paths; a storage still refuses anything else,
because a key is the one thing that could lead out of its place.

All methods block, and may be called from several threads at once. Failures are raised
as `StorageError` and its children: `ObjectMissing`, `StorageFull`, `StorageUnavailable`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from eurydice_core.errors import StorageError
from eurydice_core.model.buffer import Buffer

__all__ = [
    "Assembly",
    "AssemblyState",
    "Buffer",
    "HasFreeSpace",
    "HasListing",
    "HasLocalPath",
    "HasPresignedUrl",
    "ObjectWriter",
    "Storage",
    "checked_key",
]

AssemblyState = Mapping[str, Any]
"""What an assembly needs to go on after a crash: small, and made of JSON values only."""

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9][a-z0-9-]*)*")
MAX_KEY_LENGTH = 200  # bytes; leaves room for a prefix in S3's 1,024


def checked_key(key: str) -> str:
    """Give the key back if it is one.

    Raises:
        StorageError: the key is empty, too long, or could mean another place.
    """
    if len(key) > MAX_KEY_LENGTH or not KEY_PATTERN.fullmatch(key):
        raise StorageError(f"not a storage key: {key[:60]!r}")
    return key


class ObjectWriter(Protocol):
    """Takes an object's bytes in order."""

    def write(self, data: Buffer, /) -> object:
        """Append all of `data`; the buffer may be reused by the caller afterwards."""


class Assembly(ABC):
    """An object that arrives in pieces, in any order, some of them twice."""

    @abstractmethod
    def put(self, offset: int, data: Buffer) -> None:
        """Write a piece at its place. Putting the same piece again changes nothing."""

    @abstractmethod
    def checkpoint(self) -> AssemblyState:
        """Make every piece put so far durable, and return what `assemble` needs to go on.

        The core keeps the state in the same transaction as its list of pieces, so after
        a crash it resumes from the last checkpoint; pieces put since are put again.
        """

    @abstractmethod
    def commit(self, size: int) -> None:
        """Make the object appear under its key, durable and whole, `size` bytes long.

        Called once every byte was put. Calling it again, also on an assembly resumed
        from a state of before the first call, is a no-op.
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove every trace. A no-op where there is none."""


class Storage(ABC):
    """Immutable objects by key."""

    @abstractmethod
    def write(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """Yield a writer for a new object.

        The object appears, durable and whole, only if the block exits cleanly; on an
        exception nothing is left behind. Writing an existing key replaces it.
        """

    @abstractmethod
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `stop` (the end if None), in order.

        Chunks are of the storage's choosing, at most 4 MiB. Closing the iterator early
        frees what it holds.

        Raises:
            ObjectMissing: no such object; raised before the first byte.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """Return the object's length in bytes.

        Raises:
            ObjectMissing: no such object.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove these objects; one that does not exist is no error."""

    @abstractmethod
    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object that arrives in pieces.

        Pieces begin at multiples of `piece_size` and are that long, except the last
        one of the object, which may be shorter. `state` is what the last `checkpoint`
        returned; None begins anew, and throws away what an earlier try left.
        """

    @abstractmethod
    def check(self) -> None:
        """Prove that objects can be written, read and deleted now.

        Called when a service starts and by health checks, so it costs little.

        Raises:
            StorageError: what is wrong, where, and what to do about it.
        """


class HasFreeSpace(ABC):
    """Ability: it is known how much more fits."""

    @abstractmethod
    def free_space(self) -> int:
        """Return how many bytes more it can keep now; asking costs little.

        Raises:
            StorageError: it cannot tell.
        """


class HasListing(ABC):
    """Ability: it tells what it keeps, so that what nobody knows of can be found and removed."""

    @abstractmethod
    def list_keys(self, prefix: str = "", *, before: datetime | None = None) -> Iterator[str]:
        """Yield the keys that begin so, of objects and of what is still in pieces.

        In any order, a key perhaps more than once; what comes or goes meanwhile may be
        missed. With `before`, only of what nothing was written to since then.
        """

    @abstractmethod
    def discard(self, keys: Iterable[str]) -> None:
        """Remove every trace of these: the objects, and what is still in pieces.

        Nobody may be writing or assembling them. One that does not exist is no error.
        """


class HasLocalPath(ABC):
    """Ability: objects are files of this machine, so the kernel can send them."""

    @abstractmethod
    def local_path(self, key: str) -> Path:
        """Return the path of an existing object.

        Raises:
            ObjectMissing: no such object.
        """


class HasPresignedUrl(ABC):
    """Ability: users can fetch an object from the storage itself."""

    @abstractmethod
    def presigned_url(self, key: str, *, seconds: int, headers: Mapping[str, str]) -> str | None:
        """Return a URL good for that long, answering with these headers; None if switched off."""
