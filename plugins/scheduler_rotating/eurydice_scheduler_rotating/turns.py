"""One user's part of one packet: two lanes, opened only when their turn comes."""

from __future__ import annotations

from collections.abc import Iterator

from eurydice_core.interfaces.scheduler import Pending
from eurydice_core.model.queue import PendingRange, WaitingUser
from eurydice_scheduler_rotating.accounts import Account

__all__ = ["SortKey", "UserTurns"]

SortKey = tuple[float, int, float, int]


class UserTurns:
    """Chooses between a user's small files and the pieces of the large ones.

    The lane that had fewer bytes goes first, so each has half of the user's share while
    both have something waiting, and all of it otherwise.
    """

    def __init__(self, pending: Pending, user: WaitingUser, account: Account) -> None:
        self.user = user
        self.account = account
        self.blocked = False
        """Whether, in this packet, the range that would have been next did not fit."""
        self._pending = pending
        self._lanes: dict[bool, Iterator[PendingRange]] = {}
        self._heads: dict[bool, PendingRange | None] = {}

    def key(self) -> SortKey:
        """Sort by virtual time, then by who has waited longest for a turn."""
        waiting_since = self.user.oldest.timestamp()
        return self.account.clock, self.account.last_turn, waiting_since, self.user.id.int

    def take(self, room: int | None) -> PendingRange | None:
        """Return the user's next range that fits the room; any fits where that is None."""
        small_first = self.account.small_ahead <= 0
        for small in (small_first, not small_first):
            head = self._head(small)
            if head is None:
                if small is small_first:
                    self.account.small_ahead = 0  # an empty lane saves nothing up
            elif room is None or head.size <= room:
                del self._heads[small]
                return head
            else:
                self.blocked = True
        return None

    def _head(self, small: bool) -> PendingRange | None:
        if small not in self._lanes:
            self._lanes[small] = self._pending.ranges(self.user.id, whole=small)
        if small not in self._heads:
            self._heads[small] = next(self._lanes[small], None)
        return self._heads[small]
