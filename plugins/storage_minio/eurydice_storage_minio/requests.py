"""Requests that run beside each other, never more than memory allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import AbstractContextManager
from threading import BoundedSemaphore
from typing import Any

from s3fs import S3FileSystem

from eurydice_core.errors import StorageError

__all__ = ["Batch", "Requests"]

Errors = Callable[[], AbstractContextManager[None]]


class Requests:
    """Starts requests on the event loop that s3fs has in a thread of its own."""

    def __init__(self, filesystem: S3FileSystem, bucket: str, errors: Errors, limit: int) -> None:
        self._filesystem = filesystem
        self._bucket = bucket
        self._errors = errors
        self._room = BoundedSemaphore(limit)

    def batch(self) -> Batch:
        """Return a place for requests that are waited for together."""
        return Batch(self._start, self._errors)

    def fetch(self, path: str, start: int, stop: int) -> Future[bytes]:
        """Begin to read a stretch of an object."""
        return asyncio.run_coroutine_threadsafe(
            self._filesystem._cat_file(path, start=start, end=stop), self._filesystem.loop
        )

    def _start(self, method: str, arguments: dict[str, Any]) -> Future[Any]:
        """Begin a request once there is room for its body."""
        self._room.acquire()
        try:
            request = self._filesystem._call_s3(method, Bucket=self._bucket, **arguments)
            future = asyncio.run_coroutine_threadsafe(request, self._filesystem.loop)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future


class Batch:
    """Requests under way, by a number each."""

    def __init__(self, start: Callable[[str, dict[str, Any]], Future[Any]], errors: Errors) -> None:
        self._start = start
        self._errors = errors
        self._futures: list[tuple[int, Future[Any]]] = []

    def start(self, number: int, method: str, **arguments: Any) -> None:
        """Begin a request; wait before if too many are under way in this process."""
        self._futures.append((number, self._start(method, arguments)))

    def answers(self, *, unless: type[StorageError] | None = None) -> Iterator[tuple[int, Any]]:
        """Wait for all that was begun, and yield what the server said.

        Args:
            unless: what may have gone wrong with a request that then has no answer.

        Raises:
            StorageError: what went wrong with one of them; none is under way any more.
        """
        futures, self._futures = self._futures, []
        wait([future for _, future in futures])
        for number, future in futures:
            try:
                with self._errors():
                    answer = future.result()
            except StorageError as error:
                if unless is None or not isinstance(error, unless):
                    raise
            else:
                yield number, answer

    def settle(self) -> None:
        """Wait until nothing is under way, whatever comes of it."""
        futures, self._futures = self._futures, []
        wait([future for _, future in futures])
        for _, future in futures:
            try:
                future.exception()
            except CancelledError:  # by the interpreter's end
                continue
