"""Where the receiver takes packets from, and how it says what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eurydice_core.model.buffer import Buffer

__all__ = ["PacketSource", "SourceState"]


@dataclass(frozen=True, slots=True)
class SourceState:
    """Reasons for which no packets are received."""

    problems: Sequence[str] = ()
    """Why packets cannot be received now."""
    warnings: Sequence[str] = ()
    """Lines about packets that were lost a short time ago."""


class PacketSource(ABC):
    """Packets of the link, each kept until it is acknowledged."""

    @abstractmethod
    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the packet that has waited longest, or None if none came in that time.

        The packet before it has to be acknowledged or put back first.

        Raises:
            OSError: packets wait and cannot be read now.
        """

    @abstractmethod
    def acknowledge(self) -> None:
        """Forget the packet that was received last: it is ingested or quarantined."""

    @abstractmethod
    def put_back(self) -> bool:
        """Queue the packet that was received last once more; return False if it is lost."""

    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Return what was counted since the start, the transport's counters included."""

    @abstractmethod
    def state(self) -> SourceState:
        """Return what keeps packets from coming."""
