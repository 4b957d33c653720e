"""The origin's end: packets leave as datagrams, at the pace that was set."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from loguru import logger

from eurydice_core.errors import LinkDown, TransportError
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketSender
from eurydice_core.model.pace import Pace
from eurydice_transport_udp.authentication import new_instance
from eurydice_transport_udp.codec import choose_codec
from eurydice_transport_udp.echo import Echoes
from eurydice_transport_udp.encoder import CALL_BYTES, PacketEncoder
from eurydice_transport_udp.layout import MAX_LENGTH, Layout
from eurydice_transport_udp.settings import UDP_OVER_IPV4, UDP_OVER_IPV6, Settings
from eurydice_transport_udp.sockets import Address, open_sending_socket, segmentation
from eurydice_transport_udp.wire import Bytes

__all__ = ["UdpSender", "open_sender"]

MAX_SEGMENTS = 64  # the kernel's limit of datagrams cut from one buffer
RETRY_SECONDS = 0.001
GIVE_WAY_SECONDS = 0.001
PASSING = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ECONNREFUSED}
NO_SEGMENTATION = {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}


@contextmanager
def open_sender(settings: Settings, key: bytes = b"") -> Iterator[UdpSender]:
    """Open the origin's end.

    Raises:
        TransportError: the host is unknown, or the codec is not installed.
    """
    codec = choose_codec(settings.codec)
    sock, address = open_sending_socket(settings)
    with sock:
        plan = settings.plan(ipv6=sock.family == socket.AF_INET6)
        encoder = PacketEncoder(plan, codec, new_instance(), key)
        logger.info(
            "sending to {}:{} at {}, {} bytes of data a datagram, {} % of {} repair",
            settings.host,
            settings.port,
            f"{settings.rate:g} Mbit/s" if settings.rate else "any speed",
            plan.symbol_size,
            settings.repair,
            codec.name,
        )
        sender = UdpSender(sock, address, settings, encoder, Pace(settings.rate))
        sender.start()
        try:
            yield sender
        finally:
            sender.close()


class UdpSender(PacketSender):
    """Sends without ever hearing anything.

    A thread sends echoes while the link is idle; it gives way to packets.
    """

    def __init__(
        self,
        sock: socket.socket,
        address: Address,
        settings: Settings,
        encoder: PacketEncoder,
        pace: Pace,
    ) -> None:
        self._socket = sock
        self._address = address
        self._settings = settings
        self._encoder = encoder
        self._pace = pace
        self._overhead = UDP_OVER_IPV6 if sock.family == socket.AF_INET6 else UDP_OVER_IPV4
        self._number = 0
        self._kernel_cuts = True
        self._echoes = Echoes()
        self._link = threading.Condition()
        self._packets_waiting = 0
        self._closing = False
        self._thread = threading.Thread(target=self._echo, name="udp-echoes", daemon=True)
        names = ("packets", "bytes", "datagrams", "echoes", "wire_bytes", "waits", "failed")
        self._counts = Counter(dict.fromkeys(names, 0))

    def start(self) -> None:
        """Begin to send echoes."""
        self._thread.start()

    def close(self) -> None:
        """Send the echoes that are still waiting, each once, and end the thread."""
        with self._link:
            self._closing = True
            self._link.notify()
        self._thread.join()
        self._send_echoes(self._echoes.take_due(at_once=True))

    def send(self, packet: Buffer) -> None:
        """Return once the kernel has taken the last datagram."""
        length = memoryview(packet).nbytes
        if length > self._settings.max_packet:
            raise TransportError(
                f"a packet of {length} bytes is larger than [transport] max_packet,"
                f" {self._settings.max_packet}: raise it on both sides, or lower packet_size"
            )
        # A number is never used twice: datagrams of a broken attempt must not mix with another's.
        layout = self._encoder.layout(self._number, length)
        self._number = (self._number + 1) & MAX_LENGTH
        self._packets_waiting += 1
        with self._link:
            self._packets_waiting -= 1
            try:
                self._send_packet(layout, packet)
            except LinkDown:
                self._counts["failed"] += 1
                raise
            finally:
                self._link.notify()
        self._counts["packets"] += 1
        self._counts["bytes"] += length

    def counters(self) -> Mapping[str, int]:
        """Return packets, bytes, datagrams, and how often a full queue was waited for."""
        return dict(self._counts)

    def _send_packet(self, layout: Layout, packet: Buffer) -> None:
        self._echoes.begin(layout)
        for datagrams in self._encoder.datagrams(layout, packet):
            self._send_paced(datagrams)
            self._echoes.sent(datagrams)

    def _echo(self) -> None:
        """Send echoes when they are due, until the sender is closed."""
        with self._link:
            while not self._closing:
                due = self._echoes.next_due()
                wait = None if due is None else due - time.monotonic()
                if self._packets_waiting:
                    wait = GIVE_WAY_SECONDS
                if wait is None or wait > 0:
                    self._link.wait(wait)
                else:
                    self._send_echoes(self._echoes.take_due())

    def _send_echoes(self, echoes: Iterable[Bytes]) -> None:
        """Send datagrams again, after packets that wait; the next packet reports errors."""
        with suppress(LinkDown):
            for datagrams in echoes:
                if self._packets_waiting:
                    self._link.wait(GIVE_WAY_SECONDS)
                self._send_paced(datagrams)
                self._counts["echoes"] += len(datagrams)

    def _send_paced(self, datagrams: Bytes) -> None:
        size = datagrams.shape[1]
        most = max(1, min(MAX_SEGMENTS, CALL_BYTES // size))
        at_once = self._pace.datagrams_at_once(size + self._overhead, most)
        for first in range(0, len(datagrams), at_once):
            batch = datagrams[first : first + at_once]
            wire_bytes = batch.nbytes + len(batch) * self._overhead
            self._pace.take(wire_bytes)
            self._send_batch(batch)
            self._counts["datagrams"] += len(batch)
            self._counts["wire_bytes"] += wire_bytes

    def _send_batch(self, batch: Bytes) -> None:
        """Let the kernel cut a batch into datagrams, or do it here where it cannot."""
        if self._kernel_cuts and len(batch) > 1:
            try:
                self._hand_over(batch.data, batch.shape[1])
            except OSError as error:
                if error.errno not in NO_SEGMENTATION:
                    raise self._link_down(error) from error
                logger.info("sending datagrams one by one: {}", os.strerror(error.errno))
                self._kernel_cuts = False
            else:
                return
        for datagram in batch:
            try:
                self._hand_over(datagram.data)
            except OSError as error:
                raise self._link_down(error) from error

    def _hand_over(self, data: memoryview, segment: int = 0) -> None:
        """Give data to the kernel, waiting while its queue is full; answers mean nothing."""
        ancillary = segmentation(segment) if segment else []
        deadline = time.monotonic() + self._settings.send_timeout
        while True:
            try:
                self._socket.sendmsg([data], ancillary, 0, self._address)
            except OSError as error:
                if error.errno not in PASSING or time.monotonic() >= deadline:
                    raise
                self._counts["waits"] += 1
                time.sleep(RETRY_SECONDS)
            else:
                return

    def _link_down(self, error: OSError) -> LinkDown:
        advice = {
            errno.EMSGSIZE: "lower [transport] mtu to what the interface carries",
            errno.ENETUNREACH: "give the interface of the link an address and a route",
            errno.EPERM: "let the firewall pass it",
        }.get(error.errno or 0, "check the interface of the link")
        reason = os.strerror(error.errno or 0).lower()
        where = f"{self._settings.host}:{self._settings.port}"
        return LinkDown(f"cannot send to {where}: {reason}; {advice}")
