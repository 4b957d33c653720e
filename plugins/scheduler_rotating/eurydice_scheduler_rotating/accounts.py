"""What each user has had of the link, in virtual time.

A user's clock advances by the bytes sent for them, divided by their weight; whoever's
clock is furthest behind goes next. This is start-time fair queueing: shares of the
link follow the weights, whatever the sizes of the ranges.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from eurydice_core.model.queue import WaitingUser

__all__ = ["Account", "Accounts"]


@dataclass(slots=True)
class Account:
    """One user's share so far."""

    clock: float
    """Bytes had, divided by weight."""
    weight: int
    last_turn: int = 0
    """Number of the last turn had; breaks ties, so that no id is favoured."""
    small_ahead: int = 0
    """Bytes that small files had more than large ones."""


class Accounts:
    """The accounts of those who wait, or who had more than their share lately."""

    def __init__(self) -> None:
        self._accounts: dict[uuid.UUID, Account] = {}
        self._now = 0.0
        self._turns = 0

    def update(self, users: Sequence[WaitingUser]) -> dict[uuid.UUID, Account]:
        """Return an account for each waiting user.

        A user who was away comes back at the present time: whoever sent nothing has
        saved nothing up. An account of somebody who left is kept only while it is ahead.
        """
        known = [self._accounts[user.id].clock for user in users if user.id in self._accounts]
        self._now = max(self._now, min(known, default=self._now))
        waiting = {user.id: self._open(user) for user in users}
        ahead = {id_: known for id_, known in self._accounts.items() if known.clock > self._now}
        self._accounts = ahead | waiting
        return waiting

    def charge(self, account: Account, cost: int, *, small: bool) -> None:
        """Note that a user had a turn of so many bytes."""
        self._turns += 1
        account.last_turn = self._turns
        account.clock += cost / account.weight
        account.small_ahead += cost if small else -cost

    def __len__(self) -> int:
        return len(self._accounts)

    def _open(self, user: WaitingUser) -> Account:
        weight = 1 + max(0, user.priority)
        account = self._accounts.get(user.id)
        if account is None:
            return Account(self._now, weight)
        account.clock = max(account.clock, self._now)
        account.weight = weight
        return account
