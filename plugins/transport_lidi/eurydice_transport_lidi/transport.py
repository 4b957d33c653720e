"""Both ends of a link that lidi drives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eurydice_core.errors import TransportError
from eurydice_core.interfaces.transport import PacketReceiver, PacketSender, Transport
from eurydice_transport_lidi.receiver import LidiReceiver
from eurydice_transport_lidi.sender import LidiSender
from eurydice_transport_lidi.settings import Settings

__all__ = ["LidiTransport"]


class LidiTransport(Transport):
    """One TCP connection a packet: to lidis at the origin, from lidir at the destination."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def sender(self) -> Iterator[PacketSender]:
        """Open the origin's end; nothing is connected before there is a packet."""
        host, port = self._settings.lidis_host, self._settings.lidis_port
        if host is None or port is None:
            raise TransportError("where is lidis? set [transport] lidis_host and lidis_port")
        yield LidiSender((host, port), self._settings)

    @contextmanager
    def receiver(self) -> Iterator[PacketReceiver]:
        """Listen for lidir."""
        receiver = LidiReceiver(self._settings)
        try:
            yield receiver
        finally:
            receiver.close()
