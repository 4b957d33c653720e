"""Any fsspec filesystem as a storage, in a few lines.

    class SFTPStorage(FsspecStorage):
        \"\"\"Objects on an SFTP server.\"\"\"

    SFTPStorage(fsspec.filesystem("sftp", host="store", auto_mkdir=True), "/srv/eurydice")

The filesystem must honour `autocommit=False` (not all do: fsspec's own in memory does
not), make parent directories by itself, and be usable by several threads at once. The
conformance kit tells. A subclass overrides what its filesystem does better, and
`translated`, to say what is wrong in the words of its own service.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile
from loguru import logger

from eurydice_core.errors import ObjectMissing, StorageError, StorageUnavailable
from eurydice_core.interfaces.storage import (
    Assembly,
    AssemblyState,
    Buffer,
    ObjectWriter,
    Storage,
    checked_key,
)

__all__ = ["FsspecStorage", "PartAssembly"]

READ_BLOCK = 4 * 2**20
WRITE_BLOCK = 8 * 2**20
PROBE = b"eurydice"


class FsspecStorage(Storage):
    """Objects as files of an fsspec filesystem, below a root directory."""

    def __init__(
        self, filesystem: AbstractFileSystem, root: str, *, write_block: int = WRITE_BLOCK
    ) -> None:
        self.filesystem = filesystem
        self.root = root.rstrip("/")
        self._write_block = write_block

    @contextmanager
    def write(self, key: str) -> Iterator[ObjectWriter]:
        """Yield a file of the filesystem, and commit or discard it by ourselves.

        Leaving the file's own `with` block would commit it also after an exception.
        """
        with self.writing(self.path(key)) as writer:
            yield writer

    @contextmanager
    def writing(self, path: str) -> Iterator[ObjectWriter]:
        """Write a file of any path, all or nothing."""
        with self.errors():
            # Not `open`: that also notes the file in the filesystem's transaction, which
            # nobody ever ends, so it would be kept in memory for ever.
            file = self.filesystem._open(
                path, mode="wb", block_size=self._write_block, autocommit=False
            )
        try:
            yield _Writer(self, file)
            with self.errors():
                self.commit_file(file)
        except BaseException:
            self._discard(file)
            raise

    def commit_file(self, file: Any) -> None:
        """Let a written file appear; override where the filesystem has a shorter way."""
        file.close()
        file.commit()

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the file's bytes, one request a chunk."""
        path = self.path(key)
        with self.errors(key):
            file = self.filesystem.open(path, "rb", block_size=READ_BLOCK, cache_type="none")
        with file:
            end = file.size if stop is None else min(stop, file.size)
            file.seek(min(start, file.size))
            position = start
            while position < end:
                with self.errors(key):
                    chunk = file.read(min(READ_BLOCK, end - position))
                if not chunk:
                    raise StorageError(f"object {key!r} ends at byte {position} of {end}")
                position += len(chunk)
                yield chunk

    def size(self, key: str) -> int:
        """Return the file's length."""
        found = self.size_at(self.path(key))
        if found is None:
            raise ObjectMissing(key)
        return found

    def size_at(self, path: str) -> int | None:
        """Return the length of a file of any path; None if there is none."""
        try:
            with self.errors(path):
                info = self.filesystem.info(path)
        except ObjectMissing:
            return None
        return int(info["size"]) if info["type"] == "file" else None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove the files."""
        self.remove([self.path(key) for key in keys])

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files of any paths, whether they exist or not."""
        for path in paths:
            with self.errors(path), suppress(FileNotFoundError):
                self.filesystem.rm_file(path)

    def assemble(
        self, key: str, *, piece_size: int, state: AssemblyState | None = None
    ) -> Assembly:
        """Begin, or go on with, an object in pieces, each a file until all are there."""
        return PartAssembly(self, checked_key(key), piece_size, state)

    def check(self) -> None:
        """Write, read and delete a small file of no key."""
        probe = f"{self.root}/.check/{secrets.token_hex(8)}"
        with self.writing(probe) as writer:
            writer.write(PROBE)
        with self.errors(probe):
            found = self.filesystem.cat_file(probe)
        self.remove([probe])
        if found != PROBE:
            raise StorageError(f"what is written below {self.root} is not what is read back")

    def path(self, key: str) -> str:
        """Return where an object is.

        No key has a dot, so the file of `a` and the directory of `a/b` never want the
        same name; many object stores, too, are directories and files underneath.
        """
        return f"{self.root}/{checked_key(key)}.data"

    @contextmanager
    def errors(self, key: str | None = None) -> Iterator[None]:
        """Turn the filesystem's errors into ours; those of the caller's code never pass here."""
        try:
            yield
        except Exception as error:
            raise self.translated(error, key) from error

    def translated(self, error: Exception, key: str | None) -> StorageError:
        """Return our error for one of the filesystem's; `key` is set where one is looked for."""
        if isinstance(error, FileNotFoundError) and key is not None:
            return ObjectMissing(key)
        return StorageUnavailable(f"the storage at {self.root} failed: {error}")

    def _discard(self, file: Any) -> None:
        try:
            if isinstance(file, AbstractBufferedFile):
                file.closed = True  # closing it would send what is in its buffer
            else:
                file.close()
            file.discard()
        except Exception as error:
            logger.warning("a failed write to {} may have left a part: {}", self.root, error)


class _Writer:
    """A file of the filesystem whose errors are ours."""

    def __init__(self, storage: FsspecStorage, file: Any) -> None:
        self._storage = storage
        self._file = file

    def write(self, data: Buffer) -> None:
        with self._storage.errors():
            self._file.write(data)


class PartAssembly(Assembly):
    """Every piece is a file of its own; commit copies them, in order, into the object.

    Right for any filesystem and fast on none: every byte passes twice.
    """

    def __init__(
        self,
        storage: FsspecStorage,
        key: str,
        piece_size: int,
        state: AssemblyState | None,
    ) -> None:
        self._storage = storage
        self._key = key
        self._piece_size = piece_size
        self._directory = f"{storage.root}/.staging/{key}.parts"
        if state is None:
            self.abort()

    def put(self, offset: int, data: Buffer) -> None:
        """Write the piece's file."""
        with self._storage.writing(self._part(offset // self._piece_size)) as writer:
            writer.write(data)

    def checkpoint(self) -> AssemblyState:
        """Return how to go on; every piece is durable already."""
        return {"piece_size": self._piece_size}

    def commit(self, size: int) -> None:
        """Copy the pieces into the object, unless that was done before."""
        target = self._storage.path(self._key)
        parts = [self._part(number) for number in range(-(-size // self._piece_size))]
        found = self._parts()
        if not found.issuperset(parts):
            # Pieces are removed only after the object is there.
            if self._storage.size_at(target) != size:
                raise StorageError(
                    f"object {self._key!r} cannot be completed:"
                    f" {len(found.intersection(parts))} of its {len(parts)} pieces are there"
                )
        elif parts or self._storage.size_at(target) != 0:
            self._join(parts, size)
        self._storage.remove(found)

    def abort(self) -> None:
        """Remove the pieces."""
        self._storage.remove(self._parts())

    def _part(self, number: int) -> str:
        return f"{self._directory}/{number}"

    def _parts(self) -> set[str]:
        try:
            with self._storage.errors(self._key):
                self._storage.filesystem.invalidate_cache(self._directory)
                names = self._storage.filesystem.ls(self._directory, detail=False)
        except ObjectMissing:
            return set()
        return {f"{self._directory}/{name.rsplit('/', 1)[-1]}" for name in names}

    def _join(self, parts: list[str], size: int) -> None:
        copied = 0
        with self._storage.write(self._key) as writer:
            for part in parts:
                with self._storage.errors():
                    data = self._storage.filesystem.cat_file(part)
                copied += len(data)
                writer.write(data)
            if copied != size:
                raise StorageError(
                    f"object {self._key!r} cannot be completed: its pieces have {copied} bytes"
                    f" and it has {size}"
                )
