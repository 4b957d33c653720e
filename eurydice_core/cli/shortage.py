"""A process that lacks memory, files or threads says so in one line."""

from __future__ import annotations

import errno
import resource
from collections.abc import Mapping, Sequence
from typing import Final

from eurydice_core.model.quantities import format_size
from eurydice_core.os_advice import advice, is_shortage

__all__ = ["shortage"]

SETTINGS: Final[Mapping[str, str]] = {
    "api": "[api] workers or [upload] range_size",
    "sender": "[sender] packet_size",
    "receiver": "[receiver] buffer_size, [transport] buffer_packets or max_packet",
}
NOT_MAPPED: Final = ("failed to map segment", "cannot allocate memory")
"""Message of the dynamic loader where there is no memory for a library."""


def shortage(error: BaseException, arguments: Sequence[str] = ()) -> str | None:
    """Return one line about what there is too little of; None if that is not the reason.

    Args:
        error: what ended the command.
        arguments: the command line, whose service decides which settings are named.
    """
    if isinstance(error, OSError) and is_shortage(error) and not _is_memory(error):
        return f"{error.strerror}: {advice(error)}"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return (
            "no further thread could be started: raise the limit of processes (ulimit -u, or"
            " TasksMax= of the service) or of memory"
        )
    if not _is_memory(error):
        return None
    names = [SETTINGS[word] for word in arguments if word in SETTINGS] or list(SETTINGS.values())
    return (
        f"there is too little memory{_limit()}: raise its limit (ulimit -v, or MemoryMax= of the"
        f" service), or lower {', '.join(names)}"
    )


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, ImportError):
        return any(part in str(error).lower() for part in NOT_MAPPED)
    is_full = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or is_full


def _limit() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "" if soft == resource.RLIM_INFINITY else f" (limit: {format_size(soft)})"
