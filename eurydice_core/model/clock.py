"""What time it is; whoever must be tested without waiting takes this as an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "utc_now"]

Clock = Callable[[], datetime]
"""Tells an aware point in time."""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
