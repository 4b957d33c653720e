"""Cuts what a user sends into ranges, each made durable while the next one comes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack

from blake3 import blake3
from loguru import logger

from eurydice_core.db.outgoing import range_key
from eurydice_core.errors import EurydiceError, InvalidRequest
from eurydice_core.interfaces.storage import ObjectWriter, Storage
from eurydice_core.origin.records import StoredRange

__all__ = ["RangeCutter"]


class RangeCutter:
    """Writes one range after the other to the storage.

    The last one is kept back: it joins the queue together with what is known of the whole.
    """

    def __init__(
        self, storage: Storage, id: uuid.UUID, range_size: int, executor: Executor
    ) -> None:
        self.received = 0
        """Bytes taken so far."""
        self._storage = storage
        self._id = id
        self._range_size = range_size
        self._executor = executor
        """Shared by all uploads."""
        self._start = 0
        self._open: ExitStack | None = None
        self._writer: ObjectWriter | None = None
        self._hasher = blake3()
        """Of the open range."""
        self._held: StoredRange | None = None

    def write(self, data: memoryview) -> Iterator[StoredRange]:
        """Take the next bytes; yield what may be queued now: all durable, none the last.

        Raises:
            StorageError: they cannot be kept.
        """
        while len(data):
            taken = data[: self._start + self._range_size - self.received]
            self._take(taken)
            held = self._held
            if held is not None and held.durable is not None and held.durable.done():
                yield from self._let_go()
            if self.received - self._start == self._range_size:
                yield from self.close()
            data = data[len(taken) :]

    def close(self) -> Iterator[StoredRange]:
        """End the open range; yield the one before. A full one becomes durable meanwhile.

        Raises:
            StorageError: one of them cannot be kept.
        """
        if self._open is None:
            return
        yield from self._let_go()  # first: should it fail, the open range is discarded
        stack, self._open, self._writer = self._open, None, None
        size, digest = self.received - self._start, self._hasher.digest()
        if size == self._range_size:
            durable = self._executor.submit(stack.close)
            self._held = StoredRange(self._start, size, digest, durable)
        else:
            stack.close()
            self._held = StoredRange(self._start, size, digest)
        self._start = self.received

    def last(self) -> StoredRange:
        """Return the range that was kept back, once it is durable; an empty one if none was.

        Raises:
            StorageError: it cannot be kept.
        """
        last = self._held or StoredRange(0, 0, blake3().digest())
        if last.durable is not None:
            last.durable.result()
        return last

    def forget_last(self) -> None:
        """Leave the range that was kept back to the queue, which has it now."""
        self._held = None

    def discard(self) -> None:
        """Keep nothing of what is not queued."""
        stack, self._open, self._writer = self._open, None, None
        held, self._held = self._held, None
        try:
            if stack is not None:  # left by an exception, so that nothing of it stays
                stack.__exit__(InvalidRequest, InvalidRequest("the upload was given up"), None)
            if held is not None:
                if held.durable is not None:
                    held.durable.result()
                self._storage.delete([range_key(self._id, held.offset)])
        except EurydiceError as error:
            logger.warning(
                "upload {}: what came of it may stay in the storage: {}", self._id, error
            )

    def _take(self, data: memoryview) -> None:
        if self._writer is None:
            self._start = self.received
            self._hasher = blake3()
            self._open = ExitStack()
            self._writer = self._open.enter_context(
                self._storage.write(range_key(self._id, self._start))
            )
        self._writer.write(data)
        self._hasher.update(data)
        self.received += len(data)

    def _let_go(self) -> Iterator[StoredRange]:
        held, self._held = self._held, None
        if held is not None:
            if held.durable is not None:
                held.durable.result()
            yield held
