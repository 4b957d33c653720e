"""How packets cross the one-way link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager

from eurydice_core.interfaces.storage import Buffer

__all__ = ["PacketReceiver", "PacketSender", "Transport"]


class PacketSender(ABC):
    """The origin's end of an open link."""

    @abstractmethod
    def send(self, packet: Buffer) -> None:
        """Return once the link has taken all of the packet.

        Takes as long as the link needs at its pace; blocks no longer than the
        transport's own time-outs. The buffer may be reused by the caller afterwards.

        Raises:
            LinkDown: the link did not take it, and nothing of it counts as sent.
        """

    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Return what was counted since opening, such as `packets` and `bytes`."""


class PacketReceiver(ABC):
    """The destination's end of an open link."""

    @abstractmethod
    def receive(self, timeout_seconds: float) -> Buffer | None:
        """Return the next whole packet, or None if none came in that time.

        The packet is the caller's. Packets come in any order, some twice, some never;
        what is not a whole packet is dropped, counted and logged here.

        Raises:
            TransportError: nothing can come in now; calling again tries to mend it.
        """

    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Return what was counted since opening: `packets`, `bytes`, `dropped`, and more."""


class Transport(ABC):
    """A way across. Opening one end never needs the other end to be there."""

    @abstractmethod
    def sender(self) -> AbstractContextManager[PacketSender]:
        """Open the origin's end.

        Raises:
            TransportError: what is wrong with the settings or this machine.
        """

    @abstractmethod
    def receiver(self) -> AbstractContextManager[PacketReceiver]:
        """Open the destination's end.

        Raises:
            TransportError: what is wrong, for example that the port is in use.
        """
