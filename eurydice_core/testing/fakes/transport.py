"""A link within one process."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from eurydice_core.errors import LinkDown, TransportError
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketReceiver, PacketSender, Transport

__all__ = ["MemoryTransport"]


class MemoryTransport(Transport):
    """A lossless link; with `down` set, or nobody receiving, it takes nothing.

    Args:
        capacity: how many packets wait for the receiver before the link is down.
    """

    def __init__(self, *, capacity: int = 1024) -> None:
        self.down = False
        self._capacity = capacity
        self._lock = threading.Lock()
        self._open: _Receiver | None = None

    @contextmanager
    def sender(self) -> Iterator[PacketSender]:
        """Open the origin's end."""
        yield _Sender(self)

    @contextmanager
    def receiver(self) -> Iterator[PacketReceiver]:
        """Open the destination's end; one at a time."""
        receiver = _Receiver(self._capacity)
        with self._lock:
            if self._open is not None:
                raise TransportError("the memory link has a receiver already: close it first")
            self._open = receiver
        try:
            yield receiver
        finally:
            with self._lock:
                self._open = None

    def carry(self, packet: bytes) -> None:
        """Hand a packet over to the open receiver.

        Raises:
            LinkDown: nobody receives, or the receiver is full.
        """
        with self._lock:
            if self.down or self._open is None:
                raise LinkDown("nobody receives on the memory link")
            self._open.take(packet)


class _Sender(PacketSender):
    def __init__(self, link: MemoryTransport) -> None:
        self._link = link
        self._counters: Counter[str] = Counter(packets=0, bytes=0)

    def send(self, packet: Buffer) -> None:
        self._link.carry(bytes(packet))
        self._counters.update(packets=1, bytes=len(packet))

    def counters(self) -> Mapping[str, int]:
        return dict(self._counters)


class _Receiver(PacketReceiver):
    def __init__(self, capacity: int) -> None:
        self._packets: queue.Queue[bytes] = queue.Queue(capacity)
        self._counters: Counter[str] = Counter(packets=0, bytes=0, dropped=0)

    def take(self, packet: bytes) -> None:
        try:
            self._packets.put_nowait(packet)
        except queue.Full:
            raise LinkDown(f"{self._packets.maxsize} packets wait on the memory link") from None

    def receive(self, timeout_seconds: float) -> Buffer | None:
        try:
            packet = self._packets.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        self._counters.update(packets=1, bytes=len(packet))
        return packet

    def counters(self) -> Mapping[str, int]:
        return dict(self._counters)
