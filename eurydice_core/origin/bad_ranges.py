"""Handles ranges whose bytes are missing or damaged: each fails its own file and no other."""

from __future__ import annotations

from typing import Final

from loguru import logger

from eurydice_core.model.queue import PendingRange
from eurydice_core.origin.claims import Claims
from eurydice_core.origin.payload import RangeFault
from eurydice_core.origin.queue import Queue

__all__ = ["BadRanges"]

RETRY_AFTER: Final = 10.0
"""Seconds until a range that cannot be read is tried again; others are sent meanwhile."""
TRIES: Final = 4
"""Number of attempts to read such a range before its file fails."""


class BadRanges:
    """Retries, fails or forgets ranges that could not be brought into a packet."""

    def __init__(self, queue: Queue, claims: Claims) -> None:
        self._queue = queue
        self._claims = claims
        self._tries: dict[int, int] = {}
        """Of ranges that are tried again, by their number."""

    def report(self, item: PendingRange, fault: RangeFault, *, again: bool) -> None:
        """Decide about one range.

        Args:
            item: the range.
            fault: why it cannot be sent.
            again: whether it was sent before; then the destination may well have it.
        """
        if again:
            self._queue.give_up_repeating(item)
            logger.error(
                "transferable {} was sent once and is not sent again: {}",
                item.transferable_id,
                fault.reason,
            )
            return
        tries = self._tries.pop(item.id, 0) + 1
        if fault.may_pass and tries < TRIES:
            self._tries[item.id] = tries
            self._claims.park(item, RETRY_AFTER)
            logger.warning(
                "transferable {} waits {:.0f} s: {}",
                item.transferable_id,
                RETRY_AFTER,
                fault.reason,
            )
        elif self._queue.fail(item):
            logger.error(
                "transferable {} failed, and its user has to send the file again: {}",
                item.transferable_id,
                fault.reason,
            )

    def read(self, item: PendingRange) -> None:
        """Note that a range could be read after all."""
        self._tries.pop(item.id, None)
