"""Group commit: small changes that wait at the same time share one transaction.

Making a transaction durable costs the same for one change as for fifty. While one group
is being committed the next one gathers, so nobody waits for company.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from eurydice_core.errors import DatabaseUnavailable

__all__ = ["GroupCommit"]

T = TypeVar("T")

LARGEST_GROUP = 64  # changes


@dataclass(frozen=True, slots=True)
class _Change:
    make: Callable[[Session], Any]
    made: Future[Any]


class GroupCommit:
    """Makes changes one after the other, in a thread of its own."""

    def __init__(self, write: Callable[[], AbstractContextManager[Session]]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def submit(self, make: Callable[[Session], T]) -> Future[T]:
        """Make a change soon; the future is done once it is committed.

        A change may be made twice, if another one of its group fails: only what it did
        to the session counts.
        """
        change = _Change(make, Future())
        with self._lock:
            if self._worker is None:
                self._worker = _Worker(self._write)
            self._worker.waiting.put(change)
        return change.made

    def close(self) -> None:
        """Make what waits, and end the thread."""
        with self._lock:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.waiting.put(None)
        if worker is not None:
            worker.thread.join()


class _Worker:
    """A thread and its queue; None ends both."""

    def __init__(self, write: Callable[[], AbstractContextManager[Session]]) -> None:
        self._write = write
        self.waiting: SimpleQueue[_Change | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (change := self.waiting.get()) is not None:
            group = [change]
            is_last = False
            while len(group) < LARGEST_GROUP and not is_last:
                try:
                    another = self.waiting.get_nowait()
                except Empty:
                    break
                if another is None:
                    is_last = True
                else:
                    group.append(another)
            self._commit(group)
            if is_last:
                return

    def _commit(self, group: list[_Change]) -> None:
        # A future that was cancelled is out; from here on the others cannot be cancelled.
        self._make([change for change in group if change.made.set_running_or_notify_cancel()])

    def _make(self, group: list[_Change]) -> None:
        if not group:
            return
        try:
            with self._write() as session:
                results = [change.make(session) for change in group]
        except BaseException as error:  # also what ends a thread: the future's owner decides
            if len(group) == 1 or isinstance(error, DatabaseUnavailable):
                for change in group:
                    change.made.set_exception(error)
                return
            for change in group:  # so that the one that fails costs only itself
                self._make([change])
        else:
            for change, result in zip(group, results, strict=True):
                change.made.set_result(result)
