"""Values that cost something, asked for by whoever likes, computed at a bounded rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from loguru import logger

__all__ = ["Cached"]

T = TypeVar("T")

SHARE: Final = 20
"""What takes a second to compute is computed at most every that many seconds."""


class Cached(Generic[T]):
    """Keeps a value for some seconds, longer if it costs much; one computation at a time."""

    def __init__(
        self,
        compute: Callable[[], Awaitable[T]],
        *,
        keep: float,
        patience: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Compute after `keep` seconds; whoever asks waits for it no longer than `patience`."""
        self._compute = compute
        self._keep = keep
        self._patience = patience
        self._monotonic = monotonic
        self._value: T | None = None
        self._fresh_until = float("-inf")
        self._running: asyncio.Task[None] | None = None

    async def get(self) -> T | None:
        """Return the value; one of before while a new one takes long; None if there is none."""
        if self._running is None and self._monotonic() >= self._fresh_until:
            self._running = asyncio.create_task(self._renew())
        if self._running is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await asyncio.shield(self._running)
        return self._value

    async def _renew(self) -> None:
        began = self._monotonic()
        keep = self._keep
        try:
            self._value = await self._compute()
            keep = max(keep, SHARE * (self._monotonic() - began))
        except Exception as error:  # whoever asks is told that there is none, and the log why
            logger.warning("what is asked for by whoever watches cannot be had: {}", error)
            self._value = None
        finally:
            self._fresh_until = self._monotonic() + keep
            self._running = None
