"""The name of a request: in its log lines, in its answer, and in what a proxy logged of it."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from typing import Final

__all__ = ["HEADER", "choose_request_id", "current_request_id"]

HEADER: Final = "X-Request-Id"
TAKEN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What is taken from a proxy: nothing that could be mistaken for more in a line of a log."""

current_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def choose_request_id(offered: str) -> str:
    """Return the name that a trusted proxy gave a request, or a new one."""
    return offered if TAKEN.fullmatch(offered) else uuid.uuid4().hex
