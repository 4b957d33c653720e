"""Log of users whose names were refused: one line a minute, however many requests come."""

from __future__ import annotations

import threading
import time
from typing import Final

from loguru import logger

__all__ = ["RefusalLog"]

SECONDS: Final = 60.0


class RefusalLog:
    """Writes the first refusal at once, and one a minute after it with the number left out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._left_out = 0

    def note(self, reason: str) -> None:
        """Record that a user was not let in, and why."""
        now = time.monotonic()
        with self._lock:
            if now < self._next:
                self._left_out += 1
                return
            self._next, left_out, self._left_out = now + SECONDS, self._left_out, 0
        more = f" ({left_out} more since the last line)" if left_out else ""
        logger.warning("a user was refused: {}{}", reason[:300], more)
