"""The native one-way link: UDP with erasure coding and pacing."""

from __future__ import annotations

from contextlib import AbstractContextManager

from eurydice_core.hookspecs import TransportPlugin, hookimpl
from eurydice_core.interfaces.transport import PacketReceiver, PacketSender, Transport
from eurydice_transport_udp.settings import Settings

__all__ = ["Settings", "UdpTransport", "eurydice_transport"]


class UdpTransport(Transport):
    """Packets as erasure-coded datagrams, with nothing ever coming back."""

    def __init__(self, settings: Settings, key: bytes = b"") -> None:
        """Tag datagrams with this key, and prefer senders that do, if it is not empty."""
        self._settings = settings
        self._key = key

    def sender(self) -> AbstractContextManager[PacketSender]:
        """Open the origin's end: a socket, and nothing that has to be closed in order."""
        # Opened by one process of each side; the others need not wait for numpy.
        from eurydice_transport_udp.sender import open_sender

        return open_sender(self._settings, self._key)

    def receiver(self) -> AbstractContextManager[PacketReceiver]:
        """Open the destination's end: a bound socket and a process that empties it."""
        from eurydice_transport_udp.receiver import open_receiver

        return open_receiver(self._settings, self._key)


@hookimpl
def eurydice_transport() -> TransportPlugin:
    """Offer the native link."""
    return TransportPlugin(
        name="transport_udp",
        summary="Through a diode by UDP, with erasure coding and pacing; needs Linux.",
        settings=Settings,
        create=lambda settings, context: UdpTransport(settings, context.link_key),
    )
