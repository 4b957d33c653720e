"""The one place where the API crosses from its event loop to threads and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")

WORKERS: Final = 32
"""Blocking calls at once. None of them ever waits for a client, so none lasts long."""
DOORMEN: Final = 4
"""Authenticators asked at once: checking a password takes 64 MiB of memory."""


class Threads:
    """Runs blocking calls, a bounded number at once; the others wait for their turn."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(WORKERS, "api")
        self._doormen = ThreadPoolExecutor(DOORMEN, "api-door")

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a blocking call returns."""
        return await _finished(self._workers, lambda: call(*args, **kwargs))

    async def at_door(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do as `run`, where passwords are checked: a crowd there keeps nobody else waiting."""
        return await _finished(self._doormen, lambda: call(*args, **kwargs))

    def close(self) -> None:
        """Wait for the running calls and end the threads."""
        self._workers.shutdown(cancel_futures=True)
        self._doormen.shutdown(cancel_futures=True)


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
