"""Turns between users, by bytes."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterator

from pydantic import Field

from eurydice_core.hookspecs import PluginSettings
from eurydice_core.interfaces.scheduler import Pending, Scheduler
from eurydice_core.model.quantities import Size
from eurydice_core.model.queue import PendingRange
from eurydice_scheduler_rotating.accounts import Accounts
from eurydice_scheduler_rotating.turns import UserTurns

__all__ = ["RotatingScheduler", "Settings"]

MAX_BLOCKED_USERS = 8
"""How many users are asked for something smaller before a packet goes as full as it is."""


class Settings(PluginSettings):
    """The keys of `[scheduler]`."""

    min_cost: Size = Field(
        4096,
        ge=1,
        description="A range counts for at least this many bytes in its user's share, so that"
        " thousands of tiny files are not free.",
    )


class RotatingScheduler(Scheduler):
    """Gives each user a share of the link by weight, and each of two kinds of file half of that.

    A range that does not fit the rest of a packet lets smaller ones pass, once: it opens
    the next packet.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._accounts = Accounts()
        self._owed: uuid.UUID | None = None

    def select(self, pending: Pending, budget: int) -> Iterator[PendingRange]:
        """Yield ranges of whoever had least, as long as they fit.

        Every range yielded is charged at once: all but the first fit, so all are taken.
        """
        users = pending.users()
        accounts = self._accounts.update(users)
        turns = {user.id: UserTurns(pending, user, accounts[user.id]) for user in users}
        owed = turns.get(self._owed) if self._owed else None
        self._owed = None
        room: int | None = None  # the first range always goes
        if owed is not None and (item := self._take(owed, room)) is not None:
            room = budget - item.size
            yield item
        heap = [(turn.key(), turn) for turn in turns.values()]
        heapq.heapify(heap)
        blocked = 0
        while heap and blocked < MAX_BLOCKED_USERS and (room is None or room > 0):
            turn = heap[0][1]
            if (item := self._take(turn, room)) is None:
                heapq.heappop(heap)
                blocked += turn.blocked
            else:
                heapq.heapreplace(heap, (turn.key(), turn))
                room = (budget if room is None else room) - item.size
                yield item

    def _take(self, turn: UserTurns, room: int | None) -> PendingRange | None:
        item = turn.take(room)
        if self._owed is None and turn.blocked:
            self._owed = turn.user.id
        if item is not None:
            cost = max(item.size, self._settings.min_cost)
            self._accounts.charge(turn.account, cost, small=item.whole)
        return item
