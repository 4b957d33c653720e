"""What goes next."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from eurydice_core.model.queue import PendingRange, WaitingUser

__all__ = ["Pending", "Scheduler"]


class Pending(ABC):
    """The queue, as much of it as a scheduler needs; the same all through one `select`."""

    @abstractmethod
    def users(self) -> Sequence[WaitingUser]:
        """Return the users with something waiting, by id."""

    @abstractmethod
    def ranges(
        self, user_id: uuid.UUID | None = None, *, whole: bool | None = None
    ) -> Iterator[PendingRange]:
        """Yield waiting ranges, oldest first, read from the queue as they are asked for.

        Args:
            user_id: only this user's; None for everybody's.
            whole: only ranges that are (True) or are not (False) all of their file.
        """


class Scheduler(ABC):
    """Fills packets: chooses which waiting ranges go next.

    An instance lives as long as its sender and may remember what it chose before. It
    must not trust that what it chose was sent: the same range may be offered again.
    """

    @abstractmethod
    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        """Yield the ranges of the next packet, in the order they go into it.

        `budget` is the packet's room in bytes; the core stops taking at the first range
        that does not fit, unless it is the packet's first one, which always goes. Never
        yields a range twice, and yields at least one while anything waits.
        """
