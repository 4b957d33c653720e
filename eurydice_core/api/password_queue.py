"""A bounded, fair queue for computing password hashes.

argon2 takes processor time and 64 MiB of memory by design, so that whoever sends wrong
passwords could keep everybody else waiting. A fixed number of hashes is computed at once.
Waiting requests are served address by address in turn (round robin); when the queue is
full, the address with the most waiting requests loses its newest one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from eurydice_core.errors import TooManyPasswords

__all__ = ["MAX_WAITING", "MAX_WAITING_AT", "PasswordQueue"]

MAX_WAITING: Final = 64
"""Requests in one process; at 50 ms a hash the last of them waits a few seconds."""
MAX_WAITING_AT: Final = 16
"""Requests of one address."""


class PasswordQueue:
    """Admits a bounded number of computations at once; used in one event loop only."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """Requests by address; the address that is served next comes first."""

    @asynccontextmanager
    async def slot(self, place: str) -> AsyncIterator[None]:
        """Hold a slot for one computation on behalf of an address.

        Raises:
            TooManyPasswords: too many requests wait, of this address or in all.
        """
        await self._acquire(place)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, place: str) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._waiting.get(place, deque())
        if len(queue) >= MAX_WAITING_AT:
            raise TooManyPasswords
        if sum(map(len, self._waiting.values())) >= MAX_WAITING:
            self._drop_longest(len(queue))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(place, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release()  # the slot was handed over just before
            else:
                self._remove(place, turn)
            raise

    def _drop_longest(self, own: int) -> None:
        """Refuse the newest request of the address with the most; refuse our own if it has."""
        longest = max(self._waiting, key=lambda place: len(self._waiting[place]))
        if len(self._waiting[longest]) <= own + 1:
            raise TooManyPasswords
        turn = self._waiting[longest].pop()
        if not turn.done():
            turn.set_exception(TooManyPasswords())

    def _release(self) -> None:
        """Hand the slot to the next address, which then goes to the end of the line."""
        while self._waiting:
            place, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[place] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _remove(self, place: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(place)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[place]
