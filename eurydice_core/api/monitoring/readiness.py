"""Runs the checks: side by side, each for a bounded time, however often somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from loguru import logger

from eurydice_core.api.monitoring.cached import Cached
from eurydice_core.api.monitoring.checks import Check, Health, Result
from eurydice_core.errors import EurydiceError

__all__ = ["Readiness", "worst"]

KEEP_SECONDS: Final = 5.0
LIMIT_SECONDS: Final = 5.0
ORDER: Final = list(Health)


class Readiness:
    """Whether this side is ready to work, and what is wrong if not."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._limit = LIMIT_SECONDS
        # Threads of their own: what hangs here must not take those that requests need.
        self._threads = ThreadPoolExecutor(len(checks), "check")
        self._running: dict[str, Future[Result]] = {}
        self._results = Cached(self._all, keep=KEEP_SECONDS, patience=self._limit + 1)

    async def results(self) -> Mapping[str, Result]:
        """Return what each check found, a moment ago at most."""
        found = await self._results.get()
        return found or {name: self._too_long() for name in self._checks}

    def close(self) -> None:
        """Wait for no check; none is begun any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _all(self) -> Mapping[str, Result]:
        found = await asyncio.gather(*(self._one(name) for name in self._checks))
        return dict(zip(self._checks, found, strict=True))

    async def _one(self, name: str) -> Result:
        """Run a check; one that hangs since an earlier time is not begun again."""
        running = self._running.get(name)
        if running is None or running.done():
            running = self._running[name] = self._threads.submit(_guarded, name, self._checks[name])
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limit):
                return await asyncio.shield(asyncio.wrap_future(running))
        return self._too_long()

    def _too_long(self) -> Result:
        return Result(Health.FAILING, f"no answer within {self._limit:g} s")


def _guarded(name: str, check: Check) -> Result:
    try:
        return check()
    except (EurydiceError, OSError) as error:
        return Result(Health.FAILING, str(error))
    except Exception:
        logger.exception("a bug ended the check of {}", name)
        return Result(Health.FAILING, "a bug ended this check; the log has it")


def worst(results: Mapping[str, Result]) -> Health:
    """Return how all is: as the worst of it."""
    return max((result.health for result in results.values()), key=ORDER.index)
