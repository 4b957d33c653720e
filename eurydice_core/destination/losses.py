"""Counts packets that the intake could not keep, and reports them for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from loguru import logger

__all__ = ["Losses"]

LOG_EVERY: Final = 60.0  # seconds
SHOWN_SECONDS: Final = 900.0
"""Seconds for which `/readyz` reports lost packets."""
LOSS_COUNTERS: Final = ("dropped", "lost")


class Losses:
    """Reports lost packets; one line a minute, however many there are."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._logged_at = dict.fromkeys((True, False), float("-inf"))
        self._since_log = 0
        self._seen = 0
        self._grew_at = float("-inf")

    def note(self, reason: str, is_kept: bool) -> None:
        """Log why a packet has no place; `is_kept` if it has another one for now."""
        self._since_log += not is_kept
        now = self._monotonic()
        if now - self._logged_at[is_kept] < LOG_EVERY:
            return
        if is_kept:
            logger.error("{}; packets wait in memory", reason)
        else:
            logger.error(
                "{} packets dropped: {}; what the origin does not repeat, a repair ticket asks for",
                self._since_log,
                reason,
            )
            self._since_log = 0
        self._logged_at[is_kept] = now

    def recent(self, counters: Mapping[str, int]) -> list[str]:
        """Return a line about losses, also of the transport, if there were any recently."""
        now = self._monotonic()
        total = sum(counters.get(name, 0) for name in LOSS_COUNTERS)
        if total > self._seen:
            self._seen, self._grew_at = total, now
        if now - self._grew_at > SHOWN_SECONDS:
            return []
        return [
            f"{total} packets were dropped since the receiver was started, the last ones a short"
            " time ago: what the origin does not repeat, a repair ticket asks for"
        ]
