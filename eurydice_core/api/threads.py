"""The one place where the API crosses from its event loop to threads and back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

from eurydice_core.api.password_queue import PasswordQueue
from eurydice_core.db.lockout import place_of

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")

WORKERS: Final = 32
"""Blocking calls at once. None of them ever waits for a client, so none lasts long."""
HASHING: Final = max(1, min(4, (os.cpu_count() or 1) - 1))
"""Password hashes computed at once: each takes 64 MiB and up to four processors."""


class Threads:
    """Runs blocking calls, a bounded number at once; the others wait for their turn."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(WORKERS, "api")
        self._hashing = ThreadPoolExecutor(HASHING, "api-passwords")
        self._passwords = PasswordQueue(HASHING)

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a blocking call returns."""
        return await _finished(self._workers, lambda: call(*args, **kwargs))

    async def run_hashing(
        self, address: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as `run`, for a call that hashes a password on behalf of an address.

        Raises:
            TooManyPasswords: too many such calls wait already.
        """
        async with self._passwords.slot(place_of(address)):
            return await _finished(self._hashing, lambda: call(*args, **kwargs))

    def close(self) -> None:
        """Wait for the running calls and end the threads."""
        self._workers.shutdown(cancel_futures=True)
        self._hashing.shutdown(cancel_futures=True)


async def _finished(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    """Run a call to its end: a cancelled request waits for it, so that nothing overlaps it."""
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(pool, copy_context().run, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # looked at, so that nobody complains that it never was
        raise
